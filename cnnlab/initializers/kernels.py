"""The kernels of a built model, and drawing values for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from inspect import Parameter, signature

import keras
import numpy as np
from keras import layers

from cnnlab.errors import UserError


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

    def draw(self, initializer: keras.initializers.Initializer, seed: np.random.SeedSequence) -> None:
        """Give the weight new values, each part drawn with a seed of its own."""
        shape = list(self.variable.shape)
        shape[self.axis] //= self.parts
        if self.transposed:
            shape[-2:] = reversed(shape[-2:])
        parts = []
        for part_seed in seed.generate_state(self.parts):
            parts.append(np.asarray(reseeded(initializer, int(part_seed))(shape, "float32")))
        value = np.concatenate(parts, axis=self.axis)
        self.variable.assign(np.swapaxes(value, -1, -2) if self.transposed else value)


def reseeded(initializer: keras.initializers.Initializer, seed: int) -> keras.initializers.Initializer:
    """The same initializer with another seed.

    Raises:
        UserError: its get_config does not return all that it is made with, so that the rest would be forgotten.
    """
    kind, config = type(initializer), initializer.get_config()
    variadic = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    named = [name for name, parameter in signature(kind).parameters.items() if parameter.kind not in variadic]
    if missing := [name for name in named if name not in config | {"seed": seed}]:
        raise UserError(
            f"initializer: {kind.__name__}.get_config does not return {', '.join(missing)}; each kernel is drawn by "
            "one that is made anew of what it returns, so have it return all arguments"
        )
    return initializer.from_config(config | {"seed": seed})


def kernels(network: keras.Model) -> Iterator[Kernel]:
    """The kernels of all dense and convolutional layers, each once, in a fixed order; see `kernels_of`."""
    for layer in kernel_layers(network):
        yield from kernels_of(layer)


def kernel_layers(network: keras.Model) -> list[keras.Layer]:
    """The layers that have kernels, nested ones included."""
    # Keras has no public walk into nested models and composite layers.
    return [layer for layer in network._flatten_layers(include_self=False) if kernels_of(layer)]


def kernels_of(layer: keras.Operation) -> list[Kernel]:
    """The kernels of one layer that an initializer may set, in the order it applies them.

    A frozen or pretrained layer counts as having none: what it was loaded or built with is what it is to keep.
    """
    return [] if _keeps_weights(layer) else _kernels(layer)


def kept_layers(network: keras.Model) -> list[keras.Layer]:
    """The layers whose kernels no initializer sets, nested ones included."""
    return [layer for layer in network._flatten_layers(include_self=False) if _keeps_weights(layer) and _kernels(layer)]


def other_layers(network: keras.Model) -> list[keras.Layer]:
    """The layers with weights of several axes that are trained and that no initializer sets, since it knows no fans of
    them: neither convolutions nor dense ones, but such as attention, or layers of the user's own."""
    found = network._flatten_layers(include_self=False)
    unknown = [
        layer for layer in found if not (_keeps_weights(layer) or _kernels(layer) or isinstance(layer, layers.PReLU))
    ]
    return [layer for layer in unknown if any(len(weight.shape) > 1 for weight in _own_weights(layer))]


def _own_weights(layer: keras.Layer) -> list[keras.Variable]:
    """Those that are trained, without those of the layers inside of it."""
    inside = {id(weight) for inner in layer._flatten_layers(include_self=False) for weight in inner.weights}
    return [weight for weight in layer.trainable_weights if id(weight) not in inside]


def _keeps_weights(layer: keras.Operation) -> bool:
    return isinstance(layer, layers.Layer) and (not layer.trainable or getattr(layer, "pretrained", False))


def _kernels(layer: keras.Operation) -> list[Kernel]:
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
