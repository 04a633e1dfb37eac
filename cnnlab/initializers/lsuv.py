"""Layer-sequential unit variance."""

import logging
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cnnlab.initializers.kernels import kernel_layers, kernels, kernels_of
from cnnlab.models.graph import in_float32, linear, run_graph

log = logging.getLogger(__name__)

DEAD = 1e-7
"""A standard deviation below which the reference does not divide by it either."""


class LSUV:
    """Orthonormal kernels, scaled layer by layer until each layer's output has unit variance on a batch.

    Mishkin and Matas, "All you need is a good init" (2015), algorithm 1, for any functional model: branches,
    residuals, nested models, shared layers (scaled where they are used first). The variance is that of all
    values of the output, over images, positions and channels, before the activation function and without the
    bias, which keeps its value. That output is linear in the kernel, so where the paper iterates to a
    tolerance, one exact scaling suffices, and the scaled output can be passed on: all layers together cost one
    forward pass. Computed in float32 whatever the precision, so that all start from the same weights.

    As in the authors' Keras code, layers with fewer than `min_outputs` outputs per image, such as the logits of
    ten classes, keep the kernel the model's author chose, and the last layer is treated like any other. Batch
    normalisation uses the batch's statistics, as it will in the first step; dropout is off. A layer whose
    output does not vary (or is not finite) keeps its orthonormal kernel, and a warning names it.

    Args:
        base: what kernels are drawn from before they are scaled: each group of a convolution on its own, as a
            matrix (h·w·in, out).
        variance: of every layer's output.
        batch_size: images to measure on; the variance is exact for these.
        min_outputs: layers with fewer outputs (height · width · channels) are left alone.
        seed: every kernel draws from a seed of its own that depends on this and on the kernel's position.
    """

    def __init__(
        self,
        base: keras.initializers.Initializer,
        variance: float = 1.0,
        batch_size: int = 128,
        min_outputs: int = 32,
        seed: int = 0,
    ):
        self.base = base
        self.variance = variance
        self.batch_size = batch_size
        self.min_outputs = min_outputs
        self.seed = seed

    def apply(self, network: keras.Model, images: np.ndarray) -> None:
        """Set the kernels of a functional model.

        Args:
            network: changed in place, under any distribution strategy on all replicas.
            images: float32 (n, H, W, C), as they reach the network.
        """
        positions = {id(kernel.variable): position for position, kernel in enumerate(kernels(network))}
        seen, met = set(), set()

        def visit(operation: keras.Operation, inputs: Any, compute: Callable[[], Any]) -> Any:
            met.add(operation)
            if not kernels_of(operation) or operation in seen or self._is_small(operation, inputs.shape):
                return compute()
            seen.add(operation)
            for kernel in kernels_of(operation):
                kernel.draw(self.base, np.random.SeedSequence([self.seed, positions[id(kernel.variable)]]))
            return self._scale(operation, compute)

        with in_float32(network):
            run_graph(network, tf.constant(images), visit, batch_statistics=True)
        hidden = [layer.name for layer in kernel_layers(network) if layer not in met]
        if hidden:
            log.warning(
                "lsuv: %s keep the kernels they were built with: inside of a subclassed model or a composite layer, "
                "their outputs cannot be measured",
                ", ".join(hidden),
            )

    def _is_small(self, layer: keras.Layer, input_shape: tuple[int, ...]) -> bool:
        return math.prod(layer.compute_output_shape(input_shape)[1:]) < self.min_outputs

    def _scale(self, layer: keras.Layer, compute: Callable[[], tf.Tensor]) -> tf.Tensor:
        """Scale a layer's last kernel, on which its output depends linearly; returns the output with it."""
        with linear(layer) as activation:
            output = compute()
        bias = 0.0 if layer.bias is None else layer.bias.value
        deviation = float(tf.math.reduce_std(output - bias))
        if not DEAD < deviation < math.inf:
            log.warning("lsuv: layer %s keeps its orthonormal kernel: its output has σ = %g", layer.name, deviation)
            return activation(output)
        factor = math.sqrt(self.variance) / deviation
        kernel = kernels_of(layer)[-1].variable
        kernel.assign(kernel.value * factor)
        return activation((output - bias) * factor + bias)
