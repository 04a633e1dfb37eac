"""Random shifts and mirrorings, as one gather of rows and one of columns."""

import logging
from collections.abc import Sequence
from typing import ClassVar, Literal

import tensorflow as tf

from cnnlab.augmentation.flip import draw_mirrored
from cnnlab.augmentation.random_stream import RandomStream

log = logging.getLogger(__name__)


class ShiftFlip:
    """Mirrors half of the images left to right, then moves each by whole pixels.

    Both moves, vertical and horizontal, are uniform over -s … s, both ends included.

    Args:
        image_shape: (height, width, channels) of the images.
        shift: s, as a whole number of pixels or as a fraction (below 1) of the height and of the width,
            rounded to whole pixels.
        flip: true mirrors each image with probability 0.5; `alternating` mirrors an image in every other pass, in
            half of the images the first, see `draw_mirrored`.
        fill: what an uncovered pixel becomes: `zero` black, `nearest` the border pixel next to it, `reflect`
            the image mirrored about its border pixels (as numpy.pad's "reflect").

    Raises:
        ValueError: the shift is negative, no whole number of pixels, or leaves nothing of the image.
    """

    strength: ClassVar[tuple[str, ...]] = ("shift",)

    def __init__(
        self,
        image_shape: Sequence[int],
        shift: int | float = 4,
        flip: bool | Literal["alternating"] = True,
        fill: Literal["zero", "reflect", "nearest"] = "zero",
    ):
        self._height, self._width, _ = image_shape
        _check_shift(shift, min(self._height, self._width))
        self._vertical = _pixels(shift, self._height)
        self._horizontal = _pixels(shift, self._width)
        sides = ("height", self._height, self._vertical), ("width", self._width, self._horizontal)
        still = [f"a {name} of {side}" for name, side, pixels in sides if shift and not pixels]
        if still:
            log.warning(
                "shift=%g: comes to no whole pixel of %s, along which nothing moves", shift, " and ".join(still)
            )
        self._flip = flip
        self._fill = fill

    def __call__(self, images: tf.Tensor, stream: RandomStream) -> tf.Tensor:
        """uint8 (n, H, W, C) in, the same out."""
        down = stream.uniform(minval=-self._vertical, maxval=self._vertical + 1, dtype=tf.int32)
        right = stream.uniform(minval=-self._horizontal, maxval=self._horizontal + 1, dtype=tf.int32)
        rows = tf.range(self._height) - down[:, tf.newaxis]
        columns = tf.range(self._width) - right[:, tf.newaxis]
        if self._flip:
            mirrored = draw_mirrored(stream, alternating=self._flip == "alternating")
            columns = tf.where(mirrored[:, tf.newaxis], self._width - 1 - columns, columns)
        # bfloat16 holds 0 to 255 exactly; unlike uint8 it can be gathered on a GPU without XLA.
        pixels = tf.cast(images, tf.bfloat16)
        if self._fill == "zero":
            pixels = tf.pad(pixels, [[0, 0], [1, 1], [1, 1], [0, 0]])
        pixels = tf.gather(pixels, self._source(rows, self._height), axis=1, batch_dims=1)
        pixels = tf.gather(pixels, self._source(columns, self._width), axis=2, batch_dims=1)
        return tf.cast(pixels, images.dtype)

    def _source(self, index: tf.Tensor, side: int) -> tf.Tensor:
        """Where to look up positions that may lie up to side - 1 outside of 0 … side - 1."""
        last = side - 1
        match self._fill:
            case "zero":  # in the image with its black border, one pixel wide
                return tf.clip_by_value(index + 1, 0, side + 1)
            case "nearest":
                return tf.clip_by_value(index, 0, last)
            case "reflect":
                return last - tf.abs(last - tf.abs(index))


def _check_shift(shift: int | float, side: int) -> None:
    if shift < 0 or (shift >= 1 and shift != int(shift)):
        raise ValueError(f"shift={shift}: must be a whole number of pixels, or a fraction of the side below 1")
    if _pixels(shift, side) >= side:
        raise ValueError(f"shift={shift}: moves images of {side} pixels out of sight; use at most {side - 1} pixels")


def _pixels(shift: int | float, side: int) -> int:
    return round(shift * side) if shift < 1 else int(shift)
