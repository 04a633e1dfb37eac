"""Fresh weights for every kernel of a built model, whatever its layers were built with."""

from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers
from omegaconf import DictConfig

from cnnlab.config.build import instantiate


@dataclass(frozen=True)
class Kernel:
    """A weight that maps channels to channels.

    Attributes:
        variable: (…, in, out), the layout initializers take fans from, unless `transposed`.
        parts: how many independent kernels it holds side by side, each with fans of its own: the groups of a
            convolution, the channels of a depthwise one.
        axis: along which these lie.
        transposed: the layout is (…, out, in).
    """

    variable: keras.Variable
    parts: int = 1
    axis: int = -1
    transposed: bool = False


def apply_initializer(node: DictConfig, network: keras.Model, seed: int) -> None:
    """Set all kernels, and if asked for all biases, of a built model, nested models included.

    Initializers that also need images, such as layer-sequential unit variance, start from here and go over
    `kernels` once more in a module of their own.

    Args:
        node: `_target_`, a random initializer of keras.initializers (None leaves the kernels as they were
            built), its arguments, and `bias`, the value biases get (None leaves them as they were built).
        network: the model; changed in place.
        seed: every kernel draws from a seed of its own that depends on this and on the kernel's position.

    Raises:
        UserError: the initializer refuses its arguments.
    """
    if node._target_ is not None:
        initializer = instantiate(node, drop=["bias"], seed=seed)
        for position, kernel in enumerate(kernels(network)):
            _draw(kernel, initializer, np.random.SeedSequence([seed, position]))
    if node.bias is not None:
        for bias in _biases(network):
            bias.assign(np.full(bias.shape, node.bias))


def kernels(network: keras.Model) -> Iterator[Kernel]:
    """The kernels of all dense and convolutional layers, each once, in a fixed order."""
    for layer in _layers(network):
        yield from _kernels_of(layer)


def _kernels_of(layer: keras.Layer) -> list[Kernel]:
    match layer:
        case layers.Dense():
            return [Kernel(layer.kernel)]
        case layers.Conv1D() | layers.Conv2D() | layers.Conv3D():
            return [Kernel(layer.kernel, parts=layer.groups)]
        case layers.Conv1DTranspose() | layers.Conv2DTranspose() | layers.Conv3DTranspose():
            return [Kernel(layer.kernel, transposed=True)]
        case layers.DepthwiseConv1D() | layers.DepthwiseConv2D():
            return [_depthwise(layer.kernel)]
        case layers.SeparableConv1D() | layers.SeparableConv2D():
            return [_depthwise(layer.depthwise_kernel), Kernel(layer.pointwise_kernel)]
    return []


def _depthwise(kernel: keras.Variable) -> Kernel:
    return Kernel(kernel, parts=kernel.shape[-2], axis=-2)


def _biases(network: keras.Model) -> Iterator[keras.Variable]:
    for layer in _layers(network):
        if _kernels_of(layer) and layer.bias is not None:
            yield layer.bias


def _draw(kernel: Kernel, initializer: keras.initializers.Initializer, seed: np.random.SeedSequence) -> None:
    shape = list(kernel.variable.shape)
    shape[kernel.axis] //= kernel.parts
    if kernel.transposed:
        shape[-2:] = reversed(shape[-2:])
    parts = []
    for part_seed in seed.generate_state(kernel.parts):
        reseeded = initializer.from_config(initializer.get_config() | {"seed": int(part_seed)})
        parts.append(np.asarray(reseeded(shape, "float32")))
    value = np.concatenate(parts, axis=kernel.axis)
    kernel.variable.assign(np.swapaxes(value, -1, -2) if kernel.transposed else value)


def _layers(network: keras.Model) -> list[keras.Layer]:
    # Keras has no public walk into nested models and composite layers.
    return network._flatten_layers(include_self=False)
