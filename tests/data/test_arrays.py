"""NumPy archives."""

import numpy as np
import pytest

from cnnlab.errors import UserError

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
    for kind in (str, bytes):
        np.savez(
            tmp_path / f"{kind.__name__}.npz", x_train=IMAGES, y_train=LABELS, class_names=np.array([*"abc"], kind)
        )
    assert load("arrays", root=tmp_path / "bytes.npz", class_names=config, **SHAPE).class_names == expected
    dataset = load("arrays", root=tmp_path / "str.npz", validation="none", class_names=config, **SHAPE)
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


def test_the_other_names_of_splits_are_used_and_what_is_not_used_is_told(load, tmp_path, caplog):
    caplog.set_level("INFO")
    part = {"X_Train": IMAGES, "Y_Train": LABELS, "x_valid": IMAGES[:6], "y_valid": LABELS[:6], "weights": LABELS}
    np.savez(tmp_path / "set.npz", **part)
    dataset = load("arrays", root=tmp_path / "set.npz", **SHAPE)
    assert {split: len(part) for split, part in dataset.splits.items()} == {"train": 30, "validation": 6}
    assert "set.npz: x_valid is used as validation" in caplog.text
    assert "set.npz: weights: not used" in caplog.text


@pytest.mark.parametrize("axes", ["xy", "XY"])
def test_labels_that_are_not_used_make_no_classes(load, tmp_path, axes):
    x, y = axes
    np.savez(tmp_path / "set.npz", **{f"{x}_train": IMAGES, f"{y}_train": LABELS, "y_coarse": LABELS + 58})
    dataset = load("arrays", root=tmp_path / "set.npz", image_shape=[6, 5, 3])
    assert dataset.class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": IMAGES, "y": LABELS}, "holds x, y; expected x_train, y_train"),
        ({"x_val": IMAGES, "y_val": LABELS, "x_dev": IMAGES, "y_dev": LABELS}, "x_val and x_dev stand for one split"),
        ({"x_train": IMAGES / 255, "y_train": LABELS}, r"use \(x \* 255\).round\(\).astype"),
        ({"x_train": IMAGES > 9, "y_train": LABELS}, r'use x.astype\("uint8"\) \* 255'),
        ({"x_train": np.moveaxis(IMAGES, -1, 1), "y_train": LABELS}, r"np.moveaxis\(x, 1, -1\)"),
        ({"x_train": IMAGES[..., [0, 1, 2, 2]], "y_train": LABELS}, "drop the alpha channel"),
        ({"x_train": IMAGES, "y_train": np.eye(3)[LABELS]}, r"y.argmax\(1\)"),
        ({"x_train": IMAGES, "y_train": LABELS.astype(str)}, r"np.unique\(y, return_inverse=True\)"),
        ({"x_train": IMAGES, "y_train": LABELS / 1}, r'y.astype\("int64"\)'),
    ],
)
def test_other_arrays_are_refused_with_a_hint(load, tmp_path, arrays, message):
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(UserError, match=message):
        load("arrays", root=tmp_path / "set.npz", **SHAPE)


def test_one_class_is_refused_but_for_outputs_that_more_may_need(load, tmp_path):
    np.savez(tmp_path / "set.npz", x_train=IMAGES, y_train=np.zeros(len(IMAGES), np.int32))
    with pytest.raises(UserError, match="dataset=set: has the class 0 only; two classes or more are needed"):
        load("arrays", root=tmp_path / "set.npz", validation="none", image_shape=[6, 5, 3])
    wider = load("arrays", root=tmp_path / "set.npz", validation="none", image_shape=[6, 5, 3], num_classes=2)
    assert wider.class_names == ("0", "1")


def test_labels_that_count_from_one_and_pixels_that_end_at_one_are_told(load, tmp_path, caplog):
    np.savez(tmp_path / "set.npz", x_train=IMAGES // 128, y_train=LABELS + 1)
    dataset = load("arrays", root=tmp_path / "set.npz", image_shape=[6, 5, 3])
    assert dataset.class_names == ("0", "1", "2", "3")
    assert "the smallest label of y_train is 1, so no image is of class 0" in caplog.text
    assert "the largest pixel of x_train is 1 of 255" in caplog.text


def test_labels_that_leave_most_numbers_out_are_told_at_once(load, tmp_path, caplog):
    labels = np.where(LABELS.max() == LABELS, 60_000, LABELS)  # as a value that stands for "unknown"
    np.savez(tmp_path / "set.npz", x_train=IMAGES, y_train=labels)
    assert (
        len(load("arrays", root=tmp_path / "set.npz", validation="none", image_shape=[6, 5, 3]).class_names) == 60_001
    )
    assert f"the largest label is 60,000, but y_train holds {len({*labels})} different ones" in caplog.text


@pytest.mark.parametrize(
    ("asked", "key", "apart"),
    [
        ({"validation": "none"}, "validation=none", "validation=published"),
        ({"folds": 3, "fold": 0}, "folds=3", "folds=null"),
    ],
)
def test_images_of_two_sizes_that_are_to_be_joined_are_refused(load, tmp_path, asked, key, apart):
    file = tmp_path / "set.npz"
    np.savez(file, x_train=IMAGES, y_train=LABELS, x_val=IMAGES[:, :4, :4], y_val=LABELS)
    assert load("arrays", root=file, image_shape=[6, 5, 3]).splits["validation"].image_shape == (6, 5, 3)
    sizes = f"training images of {file} are 6x5x3, its validation images 4x4x3, which cannot be joined"
    with pytest.raises(UserError, match=rf"^dataset\.{key}: the {sizes}; .* keep them apart with dataset\.{apart}$"):
        load("arrays", root=file, image_shape=[6, 5, 3], **asked)


def test_images_of_another_size_are_told_also_where_only_a_further_split_has_them(load, tmp_path, caplog):
    caplog.set_level("INFO")
    small = IMAGES[:, :4, :4]
    np.savez(tmp_path / "set.npz", x_train=IMAGES, y_train=LABELS, x_test=small, y_test=LABELS)
    dataset = load("arrays", root=tmp_path / "set.npz", validation="none", image_shape=[6, 5, 3])
    assert dataset.splits["test"].images.shape[1:] == (6, 5, 3)
    assert "images of 4x4x3 are converted to 6x5x3" in caplog.text
