"""The vertical and the horizontal filter on photographs."""

import numpy as np
import pytest
from scipy import ndimage

from cnnlab.mechanics.filters import convolve, convolve_colours, filters_chapter, line_filters, over_colours
from cnnlab.mechanics.pictures import load_photographs, to_grey


@pytest.fixture(scope="module")
def chapter():
    return filters_chapter()


def test_the_filters_are_lines_of_seven_through_the_middle():
    vertical, horizontal = np.moveaxis(line_filters(), -1, 0)
    assert vertical.shape == horizontal.shape == (7, 7)
    assert np.flatnonzero(vertical.sum(axis=0)).tolist() == np.flatnonzero(horizontal.sum(axis=1)).tolist() == [3]
    np.testing.assert_array_equal(vertical.T, horizontal)
    assert vertical.sum() == pytest.approx(1)


def test_the_photographs_are_scikit_learns():
    photographs = load_photographs()
    assert list(photographs) == ["china", "flower"]
    for image in photographs.values():
        assert (image.shape, image.dtype) == ((427, 640, 3), np.float32)
        assert 0 <= image.min() < image.max() <= 1


def test_each_filter_averages_along_its_line():
    grey = to_grey(load_photographs()["china"])
    maps = convolve(grey, line_filters()[:, :, np.newaxis])
    for axis in (0, 1):
        expected = ndimage.uniform_filter1d(grey[..., 0], 7, axis=axis, mode="constant")
        np.testing.assert_allclose(maps[..., axis], expected, atol=1e-5)


def test_every_photograph_is_shown_in_grey_and_colour_with_both_strides(chapter):
    for name in ("china", "flower"):
        assert {f"{name}_grey", f"{name}_colour"} <= set(chapter.figures)
        assert chapter.arrays[f"{name}/grey_stride_1"].shape == (427, 640, 1, 2)
        assert chapter.arrays[f"{name}/grey_stride_2"].shape == (214, 320, 1, 2)
        assert chapter.arrays[f"{name}/colour_stride_1"].shape == (427, 640, 3, 2)
        assert chapter.arrays[f"{name}/colour_stride_2"].shape == (214, 320, 3, 2)


def test_stride_2_picks_from_what_stride_1_finds(chapter):
    for name in ("china", "flower"):
        every = chapter.arrays[f"{name}/grey_stride_1"]
        np.testing.assert_allclose(chapter.arrays[f"{name}/grey_stride_2"], every[::2, 1::2], atol=1e-6)
    assert chapter.values["stride_2_share"] == "25%"


def test_a_filter_over_colours_finds_the_mean_of_what_it_finds_in_each():
    image = np.random.default_rng(0).random((9, 12, 3), np.float32)
    apart = convolve_colours(image, line_filters())
    for colour in range(3):
        alone = convolve(image[..., colour : colour + 1], line_filters()[:, :, np.newaxis])
        np.testing.assert_allclose(apart[..., colour, :], alone, atol=1e-6)
    np.testing.assert_allclose(convolve(image, over_colours(line_filters())), apart.mean(axis=2), atol=1e-6)
