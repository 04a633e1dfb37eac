"""The extensive recipe: where an image is placed, how large, and in which colours."""

import numpy as np
import pytest
import tensorflow as tf

from cnnlab.augmentation.canvas import Canvas
from cnnlab.augmentation.color import ColorJitter

SIDE = 42
PLAIN = {"scale": (1.0, 1.0), "shift": 0.0, "rotation": 0.0, "flip": False}
COLOURS = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


def placed(make_stream, count: int = 500, **arguments) -> np.ndarray:
    """bool (count, SIDE, SIDE): where white images lie on the black canvas."""
    white = tf.fill((count, SIDE, SIDE, 3), tf.constant(255, tf.uint8))
    return Canvas(**{**PLAIN, **COLOURS, **arguments})(white, make_stream(count)).numpy()[..., 0] > 127


def test_sizes_lie_between_the_two_scales(make_stream):
    shares = np.sqrt(placed(make_stream, scale=(0.3, 0.9)).mean(axis=(1, 2)))
    assert 0.27 < shares.min() < 0.35
    assert 0.85 < shares.max() < 0.93
    assert shares.mean() == pytest.approx(0.6, abs=0.03)


def test_images_larger_than_the_canvas_cover_it(make_stream):
    assert placed(make_stream, scale=(1.1, 1.5)).all()


def test_images_are_moved_by_shares_of_the_canvas(make_stream):
    visible = placed(make_stream, scale=(0.5, 0.5), shift=0.25)
    assert (visible.sum(axis=(1, 2)) > (SIDE / 2 - 1.5) ** 2).all()  # none is cut off
    assert visible.any(axis=0).mean() > 0.9  # together they cover the canvas


def test_images_are_turned(make_stream):
    upright, turned = placed(make_stream, scale=(0.5, 0.5)), placed(make_stream, scale=(0.5, 0.5), rotation=45.0)
    np.testing.assert_allclose(turned.sum(axis=(1, 2)), upright.sum(axis=(1, 2)), rtol=0.15)
    assert turned.any(axis=2).sum(axis=1).max() > 1.3 * upright.any(axis=2).sum(axis=1).max()


def test_half_of_the_images_are_mirrored(make_stream):
    half = np.zeros((1000, SIDE, SIDE, 3), np.uint8)
    half[:, :, SIDE // 2 :] = 255
    mirrored = Canvas(**{**PLAIN, **COLOURS, "flip": True})(tf.constant(half), make_stream(1000)).numpy()[:, 0, 0, 0]
    assert (mirrored == 255).mean() == pytest.approx(0.5, abs=0.05)


def test_images_are_coloured_as_by_the_colour_jitter_and_the_canvas_stays_black(make_stream):
    images = np.random.default_rng(0).integers(60, 200, (16, SIDE, SIDE, 3), dtype=np.uint8)
    arguments = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.4, "hue": 0.1}
    coloured = Canvas(**PLAIN, **arguments)(tf.constant(images), make_stream(16)).numpy()
    stream = make_stream(16)
    stream.uniform()
    stream.uniform((2,))
    stream.uniform()
    np.testing.assert_array_equal(coloured, ColorJitter(**arguments)(tf.constant(images), stream))
    small = Canvas(**{**PLAIN, **arguments, "scale": (0.5, 0.5)})(tf.constant(images), make_stream(16)).numpy()
    assert not small[:, :8].any()


def test_scales_that_are_no_interval_are_refused():
    with pytest.raises(ValueError, match=r"^scale=\[1\.4, 0\.7\]: must be \[smallest, largest\]"):
        Canvas(scale=(1.4, 0.7))
