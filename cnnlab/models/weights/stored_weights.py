"""What a file of weights holds, whatever its format."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnlab.errors import UserError

ROLES = {
    "weights": "kernel",
    "weight": "kernel",
    "W": "kernel",
    "w": "kernel",
    "biases": "bias",
    "b": "bias",
    "scale": "gamma",
    "offset": "beta",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",  # Keras 1 calls it so, and keeps the variance in it
    "running_var": "moving_variance",
    "moving_var": "moving_variance",
}
"""What other libraries and versions call the arrays of a layer, and what Keras 3 calls them."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """How a file lays out its arrays, where it differs from Keras 3 on TensorFlow.

    Attributes:
        transposed: kernels of convolutions are (out, in, height, width), not (height, width, in, out).
        flipped: its library convolves, Keras on TensorFlow correlates: kernels are turned by 180 degrees.
        channels_first: a flattened map has the order (channels, height, width), not (height, width, channels).
    """

    transposed: bool = False
    flipped: bool = False
    channels_first: bool = False

    def kernel(self, values: np.ndarray) -> np.ndarray:
        """The kernel of a 2D convolution as (height, width, in, out) of a correlation."""
        if self.transposed:
            values = values.transpose(2, 3, 1, 0)
        return values[::-1, ::-1] if self.flipped else values

    def shape(self, shape: Shape) -> Shape:
        """The shape that an array of this shape has in Keras 3."""
        return (*shape[2:], *shape[1::-1]) if self.transposed and len(shape) == 4 else shape


@dataclass(frozen=True)
class StoredWeights:
    """Named arrays from a file, without the optimizer's.

    Attributes:
        arrays: by their names, "layer/array", in the order of the file.
        ordered: whether that order is the order of the network's layers.
        layouts: those that the arrays may have, the likeliest first; more than one where only a network tells.
        description: of the file, in a few words.
        settings: what the file tells of the layers' arguments, as Keras 3 calls them, by the layers' names.
        left_out: what was not taken, such as "18 arrays of an optimizer"; told.
        notes: what else the user must know; told as warnings.
    """

    arrays: Mapping[str, np.ndarray]
    ordered: bool
    layouts: tuple[Layout, ...]
    description: str
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    left_out: str | None = None
    notes: Sequence[str] = ()


class Misfit(UserError):
    """Weights that do not fit a network; the message names the first that does not."""


def layer_of(name: str) -> str:
    """The layer's part of "layer/array"; of a name without layer, the name."""
    return name.rpartition("/")[0] or name


def role_of(name: str) -> str:
    """What an array is to its layer, in Keras 3's word where that is known: kernel, bias, gamma, …"""
    leaf = name.rpartition("/")[2]
    return ROLES.get(leaf, leaf)


def numbered(name: str) -> tuple[str, tuple[int, ...]]:
    """A name without its numbers, and these: what natural sorting compares.

    TensorFlow calls the first of several layers "conv2d", the next "conv2d_1"; the first counts as number 0.
    """
    parts = (part if part[-1:].isdigit() else f"{part}_0" for part in name.split("/"))
    full = "/".join(parts)
    return re.sub(r"\d+", "#", full), tuple(int(digits) for digits in re.findall(r"\d+", full))


def difference(name: str, shape: Shape, path: str, our_shape: Shape) -> str:
    """How an array of a file and a variable differ."""
    if shape == our_shape:
        return f"{name} is a {role_of(name)}, {path} a {role_of(path)}"
    return f"{name} has the shape {shape}, {path} {our_shape}"


def left_over(name: str, shape: Shape) -> str:
    """An array of a file that no variable gets."""
    return f"{name} {shape} is left over"


def left_empty(path: str, shape: Shape) -> str:
    """A variable for which a file has no array."""
    return f"nothing is left for {path} {shape}"
