"""Mirroring about either axis, at random or by turns."""

import numpy as np
import pytest
import tensorflow as tf

from cnnlab.augmentation.flip import Flip

IMAGE = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
VIEWS = {"as it is": IMAGE, "left to right": IMAGE[:, ::-1], "upside down": IMAGE[::-1], "both": IMAGE[::-1, ::-1]}


def views(flip: Flip, stream, count: int) -> np.ndarray:
    images = flip(tf.constant(np.tile(IMAGE, (count, 1, 1, 1))), stream).numpy()
    return np.array([next(name for name, view in VIEWS.items() if (image == view).all()) for image in images])


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ({"horizontal": True}, {"as it is", "left to right"}),
        ({"horizontal": False, "vertical": True}, {"as it is", "upside down"}),
        ({"vertical": True}, set(VIEWS)),
        ({"horizontal": False}, {"as it is"}),
    ],
)
def test_all_views_are_equally_likely(axes, expected, make_stream):
    seen = views(Flip(**axes), make_stream(2000), 2000)
    names, counts = np.unique(seen, return_counts=True)
    assert set(names) == expected
    np.testing.assert_allclose(counts / 2000, 1 / len(expected), atol=0.04)


def test_by_turns_an_image_changes_with_every_pass_and_at_no_other_time(make_stream):
    def mirrored(step: int, passes: int) -> np.ndarray:
        return views(Flip(mode="alternating"), make_stream(64, seed=(5, step), passes=passes), 64) == "left to right"

    first = mirrored(0, passes=0)
    assert 16 < first.sum() < 48
    np.testing.assert_array_equal(mirrored(7, passes=0), first)
    np.testing.assert_array_equal(mirrored(8, passes=1), ~first)
    np.testing.assert_array_equal(mirrored(9, passes=2), first)


def test_by_turns_about_both_axes_four_passes_show_all_sides(make_stream):
    flip = Flip(vertical=True, mode="alternating")
    seen = [views(flip, make_stream(64, seed=(5, step), passes=step), 64) for step in range(4)]
    assert all(set(image) == set(VIEWS) for image in zip(*seen, strict=True))


def test_by_turns_the_example_counts_not_its_place_in_the_batch(make_stream):
    flip, order = Flip(mode="alternating"), np.random.default_rng(3).permutation(64)
    straight, shuffled = views(flip, make_stream(64), 64), views(flip, make_stream(64, indices=order), 64)
    np.testing.assert_array_equal(shuffled, straight[order])
