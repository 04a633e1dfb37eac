"""The extensive recipe: images placed, scaled, turned and coloured anew on a large canvas."""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import tensorflow as tf

from cnnlab.augmentation.color import ColorJitter
from cnnlab.augmentation.flip import draw_mirrored
from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.augmentation.warp import Fill, Interpolation, compose, rotation, scaling, translation, warp
from cnnlab.config.ranges import AT_LEAST_0, UNIT


class Canvas:
    """Places each image somewhere on a canvas, in a random size, direction and colour, in one warp.

    Springenberg et al. 2014, "Striving for Simplicity: The All Convolutional Net", put CIFAR-10's images on canvases of
    126 × 126 pixels to scale, rotate and recolour them heavily, without giving the ranges; those here are close to
    Dosovitskiy et al. 2014, "Discriminative Unsupervised Feature Learning with Convolutional Neural Networks".

    The canvas is as large as the images that come in: have the dataset enlarge them (`input_shape=[126,126,3]`), then
    validation and test images fill the canvas too. A placed image is thus interpolated twice, there and here.

    Args:
        scale: (smallest, largest) side of the image in shares of the canvas's; above 1 the image sticks out.
        shift: farthest move up, down, left or right, in shares of the side.
        rotation: farthest turn either way, in degrees.
        flip: mirror left to right: true with probability 0.5, `alternating` in every other pass.
        brightness, contrast, saturation, hue: see `ColorJitter`; only the image is coloured, not the canvas.
        interpolation: between the four nearest pixels, or the nearest alone.
        fill: the canvas around the image, see `warp`.
    """

    strength: ClassVar[tuple[str, ...]] = ("shift", "rotation", "brightness", "contrast", "saturation", "hue")

    def __init__(
        self,
        scale: Sequence[float] = (0.7, 1.4),
        shift: Annotated[float, UNIT] = 0.2,
        rotation: Annotated[float, AT_LEAST_0] = 20.0,
        flip: bool | Literal["alternating"] = True,
        brightness: Annotated[float, UNIT] = 0.3,
        contrast: Annotated[float, UNIT] = 0.3,
        saturation: Annotated[float, UNIT] = 0.4,
        hue: Annotated[float, AT_LEAST_0] = 0.1,
        interpolation: Interpolation = "bilinear",
        fill: Fill = "zero",
    ):
        if len(scale) != 2 or not 0 < scale[0] <= scale[1]:
            raise ValueError(f"scale={list(scale)}: must be [smallest, largest], above 0")
        self._scale = scale
        self._shift = shift
        self._rotation = math.radians(rotation)
        self._flip = flip
        self._color = ColorJitter(brightness, contrast, saturation, hue)
        self._interpolation = interpolation
        self._fill = fill

    def __call__(self, images: tf.Tensor, stream: RandomStream) -> tf.Tensor:
        """uint8 (n, H, W, C) in, the same out."""
        height, width = images.shape[1:3]
        shrinkage = 1 / stream.uniform(minval=self._scale[0], maxval=self._scale[1])
        signs = tf.ones_like(shrinkage)
        if self._flip:
            signs = tf.where(draw_mirrored(stream, self._flip == "alternating"), -1.0, 1.0)
        moves = stream.uniform((2,), -self._shift, self._shift)
        maps = compose(
            scaling(shrinkage, signs * shrinkage),
            rotation(stream.uniform(minval=-self._rotation, maxval=self._rotation)),
            translation(moves[:, 0] * height, moves[:, 1] * width),
        )
        return warp(self._color(images, stream), maps, self._interpolation, self._fill)
