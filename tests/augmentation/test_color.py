"""Colour changes against Pillow's and NumPy's arithmetic."""

import colorsys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance

from cnnlab.augmentation.color import LUMA, ColorJitter

NOTHING = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
ORDER = tuple(NOTHING)
ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
}


def make_images(count: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 6, channels), dtype=np.uint8)


@pytest.mark.parametrize("argument", ENHANCERS)
def test_each_change_is_pillows_with_the_factor_that_was_drawn(argument, make_stream):
    images, stream = make_images(32), make_stream(32)
    factors = [stream.uniform(minval=0.5, maxval=1.5).numpy() for _ in ORDER][ORDER.index(argument)]
    changed = ColorJitter(**{**NOTHING, argument: 0.5})(tf.constant(images), make_stream(32))
    assert changed.dtype == tf.uint8
    for image, factor, result in zip(images, factors, changed.numpy(), strict=True):
        expected = np.asarray(ENHANCERS[argument](Image.fromarray(image)).enhance(float(factor)))
        # Pillow cuts fractions off, and rounds the grey it compares with.
        np.testing.assert_allclose(result.astype(int), expected, atol=2)


def test_hues_turn_and_luma_stays(make_stream):
    images = np.clip(make_images(64), 90, 160)  # no colour is cut off
    turned = ColorJitter(**{**NOTHING, "hue": 0.1})(tf.constant(images), make_stream(64)).numpy()
    np.testing.assert_allclose(turned @ LUMA, images @ LUMA, atol=0.6)
    stream = make_stream(64)
    shares = [stream.uniform(minval=-0.1, maxval=0.1).numpy() for _ in ORDER][-1]
    saturated = np.tile(np.uint8([200, 100, 100]), (64, 2, 2, 1))
    after = ColorJitter(**{**NOTHING, "hue": 0.1})(tf.constant(saturated), make_stream(64)).numpy()[:, 0, 0]
    hues = np.array([colorsys.rgb_to_hsv(*pixel)[0] for pixel in after / 255])
    distances = (hues + 0.5) % 1 - 0.5  # red is 0
    assert np.corrcoef(np.abs(distances), np.abs(shares))[0, 1] > 0.9


def test_grey_images_have_brightness_and_contrast_alone(make_stream):
    images = tf.constant(make_images(16, channels=1))
    np.testing.assert_array_equal(ColorJitter(0.0, 0.0, 0.9, 0.5)(images, make_stream(16)), images)
    assert (ColorJitter(0.5, 0.5, 0.0, 0.0)(images, make_stream(16)).numpy() != images.numpy()).any()


def test_values_are_cut_off_at_both_ends(make_stream):
    images = np.stack([np.zeros((100, 4, 4, 3)), np.full((100, 4, 4, 3), 255)], axis=2).reshape(100, 8, 4, 3)
    changed = ColorJitter(1.0, 1.0, 1.0, 0.0)(tf.constant(images, tf.uint8), make_stream(100)).numpy()
    dark, bright = np.take_along_axis(changed, np.argsort(changed, axis=1), axis=1)[:, [0, -1], 0, 0].T
    assert (dark <= bright).all()
    assert bright.max() == 255
    assert dark.min() == 0


def test_more_than_half_a_turn_is_refused():
    with pytest.raises(ValueError, match=r"^hue=0\.6: must be at most 0\.5"):
        ColorJitter(hue=0.6)
