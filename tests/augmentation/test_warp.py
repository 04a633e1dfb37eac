"""Warps against SciPy, which warps one channel of one image at a time."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from cnnlab.augmentation.warp import affine, compose, rotation, scaling, translation, warp

MODES = {"zero": "grid-constant", "nearest": "nearest", "reflect": "mirror"}
ORDERS = {"nearest": 0, "bilinear": 1}


def make_images(count: int, shape=(9, 7, 3)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def make_matrices(count: int) -> np.ndarray:
    """Maps that turn, stretch and move as far as several image sizes."""
    generator = np.random.default_rng(1)
    matrices = np.tile(np.eye(3, dtype=np.float32), (count, 1, 1))
    matrices[:, :2, :2] += generator.normal(0, 0.7, (count, 2, 2))
    matrices[:, :2, 2] = generator.uniform(-20, 20, (count, 2))
    return matrices


def expected(images: np.ndarray, matrices: np.ndarray, interpolation: str, fill: str) -> np.ndarray:
    """float32, not rounded."""
    centre = (np.array(images.shape[1:3]) - 1) / 2
    results = np.empty(images.shape, np.float32)
    for image, matrix, result in zip(images, matrices.astype(float), results, strict=True):
        offset = centre + matrix[:2, 2] - matrix[:2, :2] @ centre
        for channel in range(image.shape[-1]):
            result[..., channel] = ndimage.affine_transform(
                image[..., channel].astype(float),
                matrix[:2, :2],
                offset,
                order=ORDERS[interpolation],
                mode=MODES[fill],
            )
    return results


@pytest.mark.parametrize("shape", [(9, 7, 3), (8, 8, 1)])
@pytest.mark.parametrize("fill", MODES)
def test_pixels_are_interpolated_between_their_neighbours(fill, shape):
    images, matrices = make_images(24, shape), make_matrices(24)
    warped = warp(tf.constant(images), tf.constant(matrices), "bilinear", fill)
    assert warped.dtype == tf.uint8
    np.testing.assert_allclose(warped, expected(images, matrices, "bilinear", fill), atol=0.502)


@pytest.mark.parametrize("fill", MODES)
def test_the_nearest_pixel_may_do(fill):
    images, matrices = make_images(24), make_matrices(24)
    warped = warp(tf.constant(images), tf.constant(matrices), "nearest", fill).numpy()
    assert (warped == expected(images, matrices, "nearest", fill)).mean() > 0.999  # of ties either may be taken


@pytest.mark.parametrize("interpolation", ORDERS)
@pytest.mark.parametrize("fill", MODES)
def test_the_identity_changes_nothing(interpolation, fill):
    images = make_images(4)
    identity = tf.eye(3, batch_shape=[4])
    np.testing.assert_array_equal(warp(tf.constant(images), identity, interpolation, fill), images)


def test_a_side_of_one_pixel_is_reflected_onto_itself():
    images = make_images(4, (1, 7, 3))
    moved = translation(tf.constant([0.0, 1, -3, 20]), tf.zeros(4))
    np.testing.assert_array_equal(warp(tf.constant(images), moved, "bilinear", "reflect"), images)


def test_maps_do_what_they_are_called():
    arrow = np.zeros((1, 5, 5, 1), np.uint8)
    arrow[0, 2, 4] = 1  # right of the centre
    one = tf.ones(1)

    def place(matrix: tf.Tensor) -> tuple[int, int]:
        ((row, column),) = np.argwhere(warp(tf.constant(arrow), matrix, "nearest", "zero").numpy()[0, ..., 0])
        return row, column

    assert place(rotation(one * np.pi / 2)) == (0, 2)  # counter-clockwise, to the top
    assert place(translation(one, 2 * one)) == (1, 2)  # what lies further down and right comes here
    assert place(scaling(one, -one)) == (2, 0)
    assert place(scaling(2 * one, 2 * one)) == (2, 3)
    assert place(affine([1, 0, 0, 0, 1, one])) == (2, 3)


def test_composed_maps_are_matrix_products():
    first, second, third = make_matrices(8), make_matrices(8)[::-1], make_matrices(8) + 1
    composed = compose(*map(tf.constant, (first, second.copy(), third)))
    np.testing.assert_allclose(composed, first @ second @ third, rtol=1e-4, atol=1e-4)
