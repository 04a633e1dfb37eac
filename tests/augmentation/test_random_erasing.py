"""Erased rectangles: how often, how large, of which shape, and what is in them."""

import numpy as np
import pytest
import tensorflow as tf

from cnnlab.augmentation.random_erasing import RandomErasing

COUNT, SIDE = 2000, 20


def erased(make_stream, **arguments) -> np.ndarray:
    """bool (COUNT, SIDE, SIDE): where white images have become black."""
    white = tf.fill((COUNT, SIDE, SIDE, 3), tf.constant(255, tf.uint8))
    return RandomErasing(fill="zero", **arguments)(white, make_stream(COUNT)).numpy()[..., 0] == 0


def sides(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heights and widths; asserts that each mask is one full rectangle."""
    heights, widths = mask.any(axis=2).sum(axis=1), mask.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(mask.sum(axis=(1, 2)), heights * widths)
    for lines in (mask.any(axis=2), mask.any(axis=1)):
        assert (np.abs(np.diff(np.pad(lines, [(0, 0), (1, 1)]).astype(int))).sum(axis=1) == 2).all()
    return heights, widths


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_so_many_images_lose_a_rectangle(probability, make_stream):
    assert erased(make_stream, probability=probability).any(axis=(1, 2)).mean() == pytest.approx(probability, abs=0.04)


def test_rectangles_have_the_areas_and_shapes_asked_for(make_stream):
    heights, widths = sides(erased(make_stream, probability=1.0, area=(0.1, 0.2), aspect_ratio=(0.5, 2.0)))
    areas = heights * widths / SIDE**2
    assert 0.07 < areas.min() < 0.11  # sides are whole pixels
    assert 0.19 < areas.max() < 0.25
    assert areas.mean() == pytest.approx(0.15, abs=0.01)
    ratios = heights / widths
    assert 0.4 < ratios.min() < 0.6
    assert 1.7 < ratios.max() < 2.4


def test_every_pixel_can_be_lost(make_stream):
    assert erased(make_stream, probability=1.0, area=(0.02, 0.05)).any(axis=0).all()


def test_what_does_not_fit_is_as_long_as_the_side(make_stream):
    heights, widths = sides(erased(make_stream, probability=1.0, area=(0.5, 0.5), aspect_ratio=(4.0, 4.0)))
    assert (heights == SIDE).all()
    assert (widths == 7).all()  # the square root of 200 / 4


def test_noise_fills_the_range_evenly_and_only_the_rectangle(make_stream):
    images = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)
    mask = erased(make_stream, probability=1.0)
    noisy = RandomErasing(probability=1.0)(tf.constant(images), make_stream(COUNT)).numpy()
    np.testing.assert_array_equal(noisy[~mask], images[~mask])
    counts, _ = np.histogram(noisy[mask], bins=8, range=(0, 256))
    np.testing.assert_allclose(counts / counts.sum(), 1 / 8, rtol=0.05)


def test_the_mean_colour_fills_as_well(make_stream):
    images = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)
    mask = erased(make_stream, probability=1.0)
    filled = RandomErasing(probability=1.0, fill="mean")(tf.constant(images), make_stream(COUNT)).numpy()
    means = np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape)
    np.testing.assert_allclose(filled[mask], means[mask], atol=0.502)


@pytest.mark.parametrize(
    "arguments",
    [{"area": [0.4, 0.2]}, {"area": [0, 0.2]}, {"area": [0.1, 1.2]}, {"aspect_ratio": [2, 1]}, {"area": [0.1]}],
)
def test_what_is_no_interval_is_refused(arguments):
    ((name, _),) = arguments.items()
    with pytest.raises(ValueError, match=rf"^{name}=\[.*must be \[smallest, largest\]"):
        RandomErasing(**arguments)
