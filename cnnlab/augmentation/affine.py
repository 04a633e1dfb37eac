"""Random rotations, shifts, shears, zooms and mirrorings, as one warp."""

import math
from typing import Annotated, ClassVar, Literal

import tensorflow as tf

from cnnlab.augmentation.flip import draw_mirrored
from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.augmentation.warp import Fill, Interpolation, affine, compose, rotation, scaling, translation, warp
from cnnlab.config.ranges import AT_LEAST_0, BELOW_1


class Affine:
    """Maps each image by a random affine map about its centre, drawn and composed as ImageDataGenerator does.

    Every range r draws uniformly from -r … r, for each image anew. The maps are those from a pixel of the result to the
    place in the image where it is looked up: mirrored, zoomed, sheared, shifted, then rotated.
    Args:
        rotation_range: degrees.
        width_shift_range: a fraction (below 1) of the width, or pixels.
        height_shift_range: a fraction (below 1) of the height, or pixels.
        shear_range: degrees; also stretches the image in height, by one over the angle's cosine, as the original does.
        zoom_range: z; rows and columns are shrunk by two factors of their own from 1 - z … 1 + z.
        flip: mirror left to right: true with probability 0.5, `alternating` in every other pass.
        interpolation: between the four nearest pixels, or the nearest alone.
        fill: what becomes visible from outside, see `warp`.
    """

    strength: ClassVar[tuple[str, ...]] = (
        "rotation_range",
        "width_shift_range",
        "height_shift_range",
        "shear_range",
        "zoom_range",
    )

    def __init__(
        self,
        rotation_range: Annotated[float, AT_LEAST_0] = 15.0,
        width_shift_range: Annotated[float, AT_LEAST_0] = 0.1,
        height_shift_range: Annotated[float, AT_LEAST_0] = 0.1,
        shear_range: Annotated[float, AT_LEAST_0] = 10.0,
        zoom_range: Annotated[float, BELOW_1] = 0.1,
        flip: bool | Literal["alternating"] = False,
        interpolation: Interpolation = "bilinear",
        fill: Fill = "nearest",
    ):
        self._rotation = math.radians(rotation_range)
        self._width_shift = width_shift_range
        self._height_shift = height_shift_range
        self._shear = math.radians(shear_range)
        self._zoom = zoom_range
        self._flip = flip
        self._interpolation = interpolation
        self._fill = fill

    def __call__(self, images: tf.Tensor, stream: RandomStream) -> tf.Tensor:
        """uint8 (n, H, W, C) in, the same out."""
        height, width = images.shape[1:3]
        angles, slants = _symmetric(stream, self._rotation), _symmetric(stream, self._shear)
        down = _symmetric(stream, _pixels(self._height_shift, height))
        right = _symmetric(stream, _pixels(self._width_shift, width))
        maps = [
            rotation(angles),
            translation(down, right),
            affine([tf.cos(slants), 0, 0, -tf.sin(slants), 1, 0]),
            scaling(1 + _symmetric(stream, self._zoom), 1 + _symmetric(stream, self._zoom)),
        ]
        if self._flip:
            signs = tf.where(draw_mirrored(stream, self._flip == "alternating"), -1.0, 1.0)
            maps.append(scaling(tf.ones_like(signs), signs))
        return warp(images, compose(*maps), self._interpolation, self._fill)


def _symmetric(stream: RandomStream, limit: float) -> tf.Tensor:
    return stream.uniform(minval=-limit, maxval=limit)


def _pixels(shift: float, side: int) -> float:
    return shift * side if shift < 1 else shift
