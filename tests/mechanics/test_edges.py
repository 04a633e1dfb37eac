"""Filters that find edges, and thin, connected lines."""

import numpy as np
import pytest
from scipy import ndimage

from cnnlab.mechanics.edges import (
    LAPLACIAN,
    SOBEL_X,
    SOBEL_Y,
    correlate,
    find_edges,
    gaussian_kernel,
    link,
    suppress_non_maxima,
)

IMAGE = np.random.default_rng(0).random((23, 31), np.float32)


def a_square() -> np.ndarray:
    image = np.zeros((40, 40), np.float32)
    image[10:30, 12:28] = 1
    return image


@pytest.mark.parametrize("sigma", [1.0, 1.5, 4.0])
def test_the_gaussian_is_scipys(sigma):
    expected = ndimage.gaussian_filter(IMAGE, sigma, mode="nearest", radius=round(3 * sigma))
    np.testing.assert_allclose(correlate(IMAGE, gaussian_kernel(sigma)), expected, atol=1e-5)
    assert gaussian_kernel(sigma).sum() == pytest.approx(1, abs=1e-6)


def test_sobel_and_laplacian_are_scipys():
    np.testing.assert_allclose(correlate(IMAGE, SOBEL_X), ndimage.sobel(IMAGE, axis=1, mode="nearest"), atol=1e-5)
    np.testing.assert_allclose(correlate(IMAGE, SOBEL_Y), ndimage.sobel(IMAGE, axis=0, mode="nearest"), atol=1e-5)
    np.testing.assert_allclose(correlate(IMAGE, LAPLACIAN), ndimage.laplace(IMAGE, mode="nearest"), atol=1e-5)


def test_the_edges_of_a_square_are_one_closed_line_one_pixel_wide():
    edges = find_edges(a_square(), sigma=1.0, low=0.2, high=0.8).edges
    assert edges.sum(axis=1)[15:25].tolist() == [2] * 10
    assert edges.sum(axis=0)[15:25].tolist() == [2] * 10
    _, lines = ndimage.label(edges, np.ones((3, 3)))
    _, regions = ndimage.label(~edges)
    assert (lines, regions) == (1, 2)


def test_nothing_changes_nowhere_in_a_flat_image():
    assert not find_edges(np.full((20, 20), 0.7, np.float32), sigma=1.0, low=0.01, high=0.02).edges.any()


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_slope_is_thinned_across_and_not_along(turns):
    """A band whose slope is 1 2 3 2 1 from left to right keeps the column of 3."""
    magnitude = np.rot90(np.tile(np.array([1.0, 2, 3, 2, 1]), (5, 1)), turns)
    right, down = (magnitude, 0 * magnitude) if turns % 2 == 0 else (0 * magnitude, magnitude)
    thin = suppress_non_maxima(magnitude, right, down)
    np.testing.assert_array_equal(thin, np.where(magnitude == 3, 3, 0))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_diagonal_slope_is_thinned_across_the_diagonal(sign):
    """Neighbours across it are two lines of pixels apart, so a staircase may stay beside the ridge."""
    rows, columns = np.mgrid[:9, :9]
    across = rows + columns - 8
    magnitude = 10.0 - np.abs(across)
    kept = suppress_non_maxima(magnitude, sign * magnitude, sign * magnitude) > 0
    assert kept[across == 0].all()
    assert not kept[np.abs(across) > 1].any()


def test_of_two_equal_neighbours_one_stays():
    magnitude = np.tile(np.array([1.0, 3, 3, 1]), (4, 1))
    assert (suppress_non_maxima(magnitude, magnitude, 0 * magnitude) > 0).sum(axis=1).tolist() == [1] * 4


def test_weak_pixels_count_where_they_hang_on_to_a_strong_one():
    strength = np.array([[9, 0, 0, 5, 5], [0, 5, 0, 0, 0], [0, 0, 5, 0, 1]])
    assert link(strength, low=4, high=8).astype(int).tolist() == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]
