"""Fresh weights for every kernel of a built model, whatever its layers were built with."""

import logging
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import keras
import numpy as np
from omegaconf import DictConfig

from cnnlab.config.instantiate import instantiate
from cnnlab.data.classes import list_names
from cnnlab.errors import UserError
from cnnlab.initializers.kernels import kept_layers, kernel_layers, kernels, other_layers

log = logging.getLogger(__name__)


@runtime_checkable
class DataInitializer(Protocol):
    """Sets the kernels of a whole network by what images make of it, such as LSUV.

    Attributes:
        batch_size: how many training images it looks at.
    """

    batch_size: int

    def apply(self, network: keras.Model, images: np.ndarray) -> None:
        """Change the network in place; `images` are float32 (n, H, W, C), as they reach it."""


def apply_initializer(node: DictConfig, network: keras.Model, seed: int, images: Callable[[int], np.ndarray]) -> None:
    """Set all kernels, and if asked for all biases, of a built model, nested models included.

    Frozen layers, and those whose attribute `pretrained` is true, keep their weights, which is told; so do layers that
    are neither convolutions nor dense.

    Args:
        node: `_target_`, a random initializer of keras.initializers or a `DataInitializer` (None leaves the kernels as
            they were built), its arguments, and `bias`, the value biases get (None leaves them as they were built).
        network: the model; changed in place.
        seed: every kernel draws from a seed of its own that depends on this and on the kernel's position.
        images: gives so many (fewer where there are no more) training images as they reach the network,
            float32 (n, H, W, C); called by initializers that look at data, and by no others.

    Raises:
        UserError: the initializer refuses its arguments, or is none.
    """
    _tell_untouched(node, network)
    if node.bias is not None:
        for layer in kernel_layers(network):
            if layer.bias is not None:
                layer.bias.assign(np.full(layer.bias.shape, node.bias))
    if node._target_ is None:
        return
    initializer = instantiate(node, drop=["bias"], seed=seed)
    if isinstance(initializer, DataInitializer):
        initializer.apply(network, images(initializer.batch_size))
    elif not isinstance(initializer, keras.initializers.Initializer):
        raise UserError(
            f"initializer: {node._target_} returns {type(initializer).__name__}, neither a keras.initializers."
            "Initializer nor a DataInitializer; see docs/own_code.md"
        )
    else:
        for position, kernel in enumerate(kernels(network)):
            kernel.draw(initializer, np.random.SeedSequence([seed, position]))


def _tell_untouched(node: DictConfig, network: keras.Model) -> None:
    """Say which layers keep weights that one might take for set."""
    name, kept, others = node.get("name", node._target_), kept_layers(network), other_layers(network)
    if kept and (node._target_ is not None or node.bias is not None):
        first, last = kept[0].name, kept[-1].name
        log.info(
            "initializer=%s: %d frozen or pretrained layers keep their weights (%s … %s)", name, len(kept), first, last
        )
    if others and node._target_ is not None:
        log.warning(
            "initializer=%s: sets kernels of convolutions and dense layers alone; as they were built stay those of %s",
            name, list_names([layer.name for layer in others]),
        )  # fmt: skip
