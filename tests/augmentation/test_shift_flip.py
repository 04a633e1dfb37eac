"""Shifts and flips, against NumPy working image by image with the same stream."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.augmentation.shift_flip import ShiftFlip

SHAPE = (9, 7, 3)
PAD_MODES = {"zero": "constant", "reflect": "reflect", "nearest": "edge"}


def make_images(count: int, shape=SHAPE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def expected(images: np.ndarray, stream: RandomStream, shift: int, fill: str, flip: bool = True) -> np.ndarray:
    """One image at a time: mirror, pad, cut out."""
    results = []
    down = stream.uniform(minval=-shift, maxval=shift + 1, dtype=tf.int32).numpy()
    right = stream.uniform(minval=-shift, maxval=shift + 1, dtype=tf.int32).numpy()
    mirrored = stream.uniform().numpy() < 0.5 if flip else np.zeros(len(images), bool)
    for image, dy, dx, mirror in zip(images, down, right, mirrored, strict=True):
        height, width, _ = image.shape
        padded = np.pad(
            image[:, ::-1] if mirror else image, [(shift, shift), (shift, shift), (0, 0)], mode=PAD_MODES[fill]
        )
        results.append(padded[shift - dy : shift - dy + height, shift - dx : shift - dx + width])
    return np.stack(results)


@pytest.mark.parametrize("shape", [SHAPE, (8, 8, 1)])
@pytest.mark.parametrize("fill", PAD_MODES)
@pytest.mark.parametrize("shift", [0, 2, 6])
def test_each_image_is_mirrored_and_moved_as_drawn(shape, fill, shift, make_stream):
    images = make_images(64, shape)
    augmented = ShiftFlip(shape, shift, flip=True, fill=fill)(tf.constant(images), make_stream(64))
    assert augmented.dtype == tf.uint8
    np.testing.assert_array_equal(augmented, expected(images, make_stream(64), shift, fill))


def test_without_flip_images_are_only_moved(make_stream):
    images = make_images(64)
    augmented = ShiftFlip(SHAPE, 2, flip=False)(tf.constant(images), make_stream(64))
    np.testing.assert_array_equal(augmented, expected(images, make_stream(64), 2, "zero", flip=False))


def test_half_of_the_images_are_mirrored(make_stream):
    images = np.tile(np.arange(7, dtype=np.uint8)[:, None], (4000, 9, 1, 3))
    augmented = ShiftFlip(SHAPE, 0)(tf.constant(images), make_stream(4000)).numpy()
    assert (augmented[:, 0, 0, 0] == 6).mean() == pytest.approx(0.5, abs=0.03)


def test_moves_are_uniform_with_both_ends_included(make_stream):
    dot = np.zeros((9000, 9, 7, 1), np.uint8)
    dot[:, 4, 3] = 1
    augmented = ShiftFlip((9, 7, 1), 1, flip=False)(tf.constant(dot), make_stream(9000)).numpy()
    _, rows, columns, _ = np.nonzero(augmented)
    for row, column in itertools.product((3, 4, 5), (2, 3, 4)):
        assert np.mean((rows == row) & (columns == column)) == pytest.approx(1 / 9, abs=0.015)


def test_a_fraction_is_taken_of_each_side(make_stream):
    dot = np.zeros((2000, 20, 10, 1), np.uint8)
    dot[:, 10, 5] = 1
    augmented = ShiftFlip((20, 10, 1), 0.2, flip=False)(tf.constant(dot), make_stream(2000)).numpy()
    _, rows, columns, _ = np.nonzero(augmented)
    assert (rows.min(), rows.max()) == (6, 14)
    assert (columns.min(), columns.max()) == (3, 7)


def test_alternating_images_turn_over_with_every_pass_and_stay_put_within_one(make_stream):
    images = np.tile(np.arange(7, dtype=np.uint8)[:, None], (64, 9, 1, 3))
    augmentation = ShiftFlip(SHAPE, 0, flip="alternating")

    def mirrored(step: int, passes: int) -> np.ndarray:
        stream = make_stream(64, seed=(5, step), passes=passes)
        return augmentation(tf.constant(images), stream).numpy()[:, 0, 0, 0] == 6

    first = mirrored(step=0, passes=0)
    assert 16 < first.sum() < 48
    np.testing.assert_array_equal(mirrored(step=9, passes=0), first)
    np.testing.assert_array_equal(mirrored(step=9, passes=1), ~first)
    np.testing.assert_array_equal(mirrored(step=9, passes=2), first)


def test_xla_gives_the_same_images_with_any_filling(make_stream):
    def augment(images, seed):
        return [ShiftFlip(SHAPE, 2, fill=fill)(images, make_stream(64, seed=seed)) for fill in PAD_MODES]

    arguments = tf.constant(make_images(64)), tf.constant([5, 2])
    found, expected = tf.function(augment, jit_compile=True)(*arguments), augment(*arguments)
    assert len(found) == len(PAD_MODES)
    for images, same in zip(found, expected, strict=True):
        np.testing.assert_array_equal(images, same)


@pytest.mark.parametrize("shift", [-1, 1.5, -0.1])
def test_a_shift_that_is_neither_pixels_nor_a_fraction_is_refused(shift):
    with pytest.raises(ValueError, match=rf"shift={shift}.*whole number of pixels, or a fraction"):
        ShiftFlip(SHAPE, shift)


@pytest.mark.parametrize("shift", [7, 40, 0.99])
def test_a_shift_out_of_sight_is_refused(shift):
    with pytest.raises(ValueError, match=rf"shift={shift}.*images of 7 pixels.*at most 6"):
        ShiftFlip(SHAPE, shift)


@pytest.mark.parametrize(
    ("shift", "told"),
    [
        (0.05, ["shift=0.05: comes to no whole pixel of a height of 8, along which nothing moves"]),
        (0.01, ["shift=0.01: comes to no whole pixel of a height of 8 and a width of 32, along which nothing moves"]),
        (0.1, []),
        (0, []),
    ],
)
def test_a_fraction_that_rounds_to_no_pixel_is_told(shift, told, caplog):
    ShiftFlip((8, 32, 1), shift=shift)
    assert caplog.messages == told
