"""Colour shifts along principal components, against scikit-learn's."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.decomposition import PCA

from cnnlab.augmentation.pca_color import PcaColor
from cnnlab.data.dataset import Split
from cnnlab.data.decode import load_images

SIGMA = 0.2


def make_split(count: int = 300) -> Split:
    """Images of correlated channels, far from 0 and 255."""
    generator = np.random.default_rng(0)
    mixing = np.array([[30, 12, 4], [25, -8, 3], [20, -10, -6]])
    pixels = 128 + generator.normal(size=(count, 8, 8, 3)) @ mixing.T
    return Split(np.clip(pixels, 0, 255).astype(np.uint8), np.zeros(count, np.int32))


def shifts_of(pca_color: PcaColor, image: np.ndarray, count: int, make_stream) -> np.ndarray:
    """(count, 3), in units of the full range."""
    images = tf.constant(np.tile(image, (count, 1, 1, 1)))
    return (pca_color(images, make_stream(count)).numpy().astype(float) - image).mean(axis=(1, 2)) / 255


def expected_covariance(pixels: np.ndarray) -> np.ndarray:
    """Of the sum over components of eigenvector · eigenvalue · N(0, σ²)."""
    pca = PCA().fit(pixels.reshape(-1, 3) / 255)
    return sum(
        np.outer(vector, vector) * (SIGMA * value) ** 2
        for vector, value in zip(pca.components_, pca.explained_variance_, strict=True)
    )


def test_shifts_are_distributed_along_the_components_of_the_training_split(make_stream):
    split, pca_color = make_split(), PcaColor(SIGMA)
    pca_color.adapt(split)
    grey = np.full((8, 8, 3), 128, np.uint8)
    images = tf.constant(np.tile(grey, (20_000, 1, 1, 1)))[:, :1, :1]
    shifts = (pca_color(images, make_stream(20_000)).numpy().astype(float) - 128)[:, 0, 0] / 255
    expected = expected_covariance(split.images)
    rounding = np.eye(3) / 12 / 255**2
    np.testing.assert_allclose(np.cov(shifts.T), expected + rounding, rtol=0.1, atol=0.02 * expected.max())
    np.testing.assert_allclose(shifts.mean(axis=0), 0, atol=4 * np.sqrt(expected.max() / 20_000))


def test_all_pixels_of_an_image_are_shifted_alike(make_stream):
    split, pca_color = make_split(32), PcaColor(SIGMA)
    pca_color.adapt(split)
    differences = pca_color(tf.constant(split.images), make_stream(32)).numpy().astype(int) - split.images
    inner = (split.images > 40) & (split.images < 215)  # the others may be cut off
    for difference, counts in zip(differences, inner, strict=True):
        for channel in range(3):
            assert np.ptp(difference[..., channel][counts[..., channel]]) <= 1


def test_without_the_training_split_each_images_own_components_count(make_stream):
    images = make_split(4).images
    for image in images:
        shifts = shifts_of(PcaColor(SIGMA, covariance="image"), image, 4000, make_stream)
        expected = expected_covariance(image)
        # scikit-learn divides by one pixel less.
        np.testing.assert_allclose(np.cov(shifts.T), expected, rtol=0.2, atol=0.1 * expected.max())


def test_grey_images_are_brightened_and_darkened(make_stream):
    split = Split(make_split(64).images[..., :1], np.zeros(64, np.int32))
    pca_color = PcaColor(0.5)
    pca_color.adapt(split)
    changed = pca_color(tf.constant(split.images), make_stream(64)).numpy()
    assert changed.shape == split.images.shape
    assert (changed != split.images).any()


def test_large_images_are_summed_in_parts(make_stream):
    images = np.random.default_rng(0).integers(0, 256, (5, 1000, 1000, 3), dtype=np.uint8)
    images[3:] //= 4
    whole, scattered = PcaColor(SIGMA), PcaColor(SIGMA)
    whole.adapt(Split(images, np.zeros(5, np.int32)))  # 15 MB of pixels
    scattered.adapt(Split(images.reshape(-1, 10, 10, 3), np.zeros(50_000, np.int32)))
    grey = tf.fill((100, 1, 1, 3), tf.constant(128, tf.uint8))
    np.testing.assert_array_equal(whole(grey, make_stream(100)), scattered(grey, make_stream(100)))


def test_it_must_be_adapted_first(make_stream):
    with pytest.raises(RuntimeError, match="adapt"):
        PcaColor()(tf.constant(make_split(4).images), make_stream(4))


def test_files_serve_as_well_as_arrays(cnnlab_data, make_stream, files_of):
    files = files_of(sorted((cnnlab_data / "cats_vs_dogs").rglob("*.jpg"))[:40], (32, 32, 3))
    images, labels = load_images(files), np.zeros(40, np.int32)
    results = []
    for split in (Split(files, labels), Split(images, labels)):
        pca_color = PcaColor()
        pca_color.adapt(split)
        results.append(pca_color(tf.constant(images), make_stream(40)).numpy())
    np.testing.assert_array_equal(*results)
