"""Where a filter may stand, by hand and as TensorFlow does it."""

import numpy as np
import pytest
import tensorflow as tf

from cnnlab.mechanics.padding import FILTER, PADDINGS, ROW, STRIDE, Extent, extent, padding_chapter, slide


def test_the_row_of_thirteen_gives_the_known_sums():
    assert ROW.tolist() == list(range(1, 14))
    assert (FILTER.tolist(), STRIDE) == ([2, 3, 5, 7, 11, 13], 5)
    assert slide(ROW, FILTER, STRIDE, "VALID").tolist() == [184, 389]
    assert slide(ROW, FILTER, STRIDE, "SAME").tolist() == [143, 348, 204]


def test_same_puts_the_odd_zero_behind_and_valid_leaves_two_values_out():
    assert extent(13, 6, 5, "SAME") == Extent(outputs=3, before=1, after=2, ignored=0)
    assert extent(13, 6, 5, "VALID") == Extent(outputs=2, before=0, after=0, ignored=2)


def test_a_filter_that_does_not_fit_has_no_valid_place():
    assert extent(3, 5, 1, "VALID") == Extent(outputs=0, before=0, after=0, ignored=3)


@pytest.mark.parametrize("padding", PADDINGS)
def test_every_length_filter_and_stride_gives_what_tensorflow_gives(padding):
    rng = np.random.default_rng(0)
    for length in (5, 6, 13):
        for size in (1, 2, 5):
            for stride in (1, 2, 3, 7):
                row, weights = rng.integers(-9, 10, length), rng.integers(-9, 10, size)
                inputs, kernel = (array.astype(np.float32) for array in (row, weights))
                expected = tf.nn.conv1d(inputs[None, :, None], kernel[:, None, None], stride, padding)[0, :, 0]
                np.testing.assert_array_equal(slide(row, weights, stride, padding), expected)


def test_the_values_that_no_place_reaches_do_not_matter():
    rng = np.random.default_rng(0)
    for length, size, stride, padding in ((13, 6, 5, "VALID"), (11, 2, 4, "VALID"), (10, 1, 4, "SAME")):
        ignored = extent(length, size, stride, padding).ignored
        assert ignored > 0
        row, weights = rng.normal(size=length), rng.normal(size=size)
        before = slide(row, weights, stride, padding)
        row[-ignored:] = 99
        np.testing.assert_array_equal(slide(row, weights, stride, padding), before)
        row[-ignored - 1] = 99
        assert (slide(row, weights, stride, padding) != before).any()


def test_the_chapter_says_so():
    values = padding_chapter().values
    assert (values["valid_sums"], values["same_sums"]) == ("184 and 389", "143, 348, 204")
    assert (values["same_before"], values["same_after"], values["valid_ignored"]) == ("1", "2", "12 and 13")
    assert values["difference"] == "0"
