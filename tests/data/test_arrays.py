"""NumPy archives."""

import numpy as np
import pytest

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (30, 6, 5, 3), np.uint8)
LABELS = np.arange(30) % 3
SHAPE = {"image_shape": [6, 5, 3], "num_classes": 3}


def test_keras_key_names_make_the_splits(load, tmp_path):
    path = tmp_path / "set.npz"
    np.savez(
        path, x_train=IMAGES, y_train=LABELS, x_val=IMAGES[:6], y_val=LABELS[:6], x_test=IMAGES[6:], y_test=LABELS[6:]
    )
    dataset = load("arrays", root=path, validation="published", **SHAPE)
    np.testing.assert_array_equal(dataset.splits["train"].images, IMAGES)
    np.testing.assert_array_equal(dataset.splits["validation"].images, IMAGES[:6])
    np.testing.assert_array_equal(dataset.splits["test"].labels, LABELS[6:])
    assert dataset.splits["train"].labels.dtype == np.int32
    assert dataset.class_names == ("0", "1", "2")


def test_grey_images_and_column_labels_get_their_shape(load, tmp_path):
    np.savez_compressed(tmp_path / "set.npz", x_train=IMAGES[..., 0], y_train=LABELS[:, np.newaxis])
    train = load("arrays", root=tmp_path / "set.npz", validation="none", image_shape=[6, 5, 1]).splits["train"]
    assert train.images.shape == (30, 6, 5, 1)
    assert train.labels.shape == (30,)


@pytest.mark.parametrize(("config", "expected"), [(None, ("a", "b", "c")), (["x", "y", "z"], ("x", "y", "z"))])
def test_class_names_come_from_the_config_or_else_the_file(load, tmp_path, config, expected):
    np.savez(tmp_path / "set.npz", x_train=IMAGES, y_train=LABELS, class_names=["a", "b", "c"])
    dataset = load("arrays", root=tmp_path / "set.npz", validation="none", class_names=config, **SHAPE)
    assert dataset.class_names == expected


def test_mnist_as_keras_packs_it(load, tmp_path, cnnlab_data):
    mnist = load("mnist", root=cnnlab_data, validation="none")
    parts = {
        f"{axis}_{split}": values
        for split in ("train", "test")
        for axis, values in (("x", mnist.splits[split].images[..., 0]), ("y", mnist.splits[split].labels.astype("u1")))
    }
    np.savez(tmp_path / "mnist.npz", **parts)
    packed = load("arrays", root=tmp_path / "mnist.npz", validation="none")
    for split in ("train", "test"):
        np.testing.assert_array_equal(packed.splits[split].images, mnist.splits[split].images)
        np.testing.assert_array_equal(packed.splits[split].labels, mnist.splits[split].labels)
