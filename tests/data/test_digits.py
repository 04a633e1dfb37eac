"""The embedded dataset."""

import numpy as np
from sklearn.datasets import load_digits


def test_all_digits_in_three_splits_at_their_own_size(load):
    dataset = load("digits", image_shape=[8, 8, 1])
    assert dataset.name == "digits"
    assert dataset.class_names == tuple("0123456789")
    assert {name: split.images.shape for name, split in dataset.splits.items()} == {
        "train": (1149, 8, 8, 1),
        "validation": (288, 8, 8, 1),
        "test": (360, 8, 8, 1),
    }


def test_pixels_use_the_whole_range(load):
    dataset = load("digits", image_shape=[8, 8, 1])
    pixels = np.concatenate([split.images for split in dataset.splits.values()])
    assert pixels.dtype == np.uint8
    assert sorted(np.unique(pixels)) == sorted(np.rint(np.unique(load_digits().images) * 255 / 16))


def test_the_mnist_nets_get_their_shape_by_default(load):
    assert load("digits").splits["train"].images.shape == (1149, 28, 28, 1)
