"""CIFAR-10 and CIFAR-100 in the published layout."""

import pickle
import shutil
import tarfile

import numpy as np
import pytest

from cnnlab.data.cifar import CIFAR10_CLASSES, CIFAR100_CLASSES


@pytest.fixture
def cifar10_folder(write_cifar, tmp_path):
    """Six batches of ten images; every pixel of batch b is b, of the test batch 6."""
    folder = tmp_path / "cifar-10-batches-py"
    for number, name in enumerate([*(f"data_batch_{b}" for b in range(1, 6)), "test_batch"], start=1):
        write_cifar(folder / name, np.full((10, 32, 32, 3), number, np.uint8), list(range(10)))
    return folder


def test_published_validation_is_batch_five(load, cifar10_folder):
    splits = load("cifar10", root=cifar10_folder.parent).splits
    assert set(splits["train"].images.reshape(-1)) == {1, 2, 3, 4}
    assert set(splits["validation"].images.reshape(-1)) == {5}
    assert set(splits["test"].images.reshape(-1)) == {6}


def test_no_validation_trains_on_all_five_batches(load, cifar10_folder):
    splits = load("cifar10", root=cifar10_folder, validation="none").splits
    assert set(splits) == {"train", "test"}
    assert set(splits["train"].images.reshape(-1)) == {1, 2, 3, 4, 5}


def test_a_fraction_is_drawn_from_all_five_batches(load, cifar10_folder):
    splits = load("cifar10", root=cifar10_folder, validation=0.4).splits
    assert len(splits["train"]) == 30
    assert np.bincount(splits["validation"].labels).tolist() == [2] * 10
    assert len(set(splits["validation"].images[:, 0, 0, 0])) > 1


def test_the_archive_is_read_in_place(load, cifar10_folder, tmp_path):
    expected = load("cifar10", root=tmp_path).splits["train"]
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(cifar10_folder, cifar10_folder.name)
    shutil.rmtree(cifar10_folder)
    read = load("cifar10", root=tmp_path).splits["train"]
    np.testing.assert_array_equal(read.images, expected.images)
    np.testing.assert_array_equal(read.labels, expected.labels)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cifar-10-python.tar.gz"]


def test_channels_come_last(load, write_cifar, cifar10_folder):
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    write_cifar(cifar10_folder / "test_batch", image, [3])
    np.testing.assert_array_equal(load("cifar10", root=cifar10_folder).splits["test"].images, image)


def test_cifar100_takes_the_fine_labels(load, write_cifar, tmp_path):
    for name, count in (("train", 500), ("test", 100)):
        images = np.zeros((count, 32, 32, 3), np.uint8)
        write_cifar(tmp_path / "cifar-100-python" / name, images, [i % 100 for i in range(count)], "fine_labels")
    dataset = load("cifar100", root=tmp_path)
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": 400,
        "validation": 100,
        "test": 100,
    }
    assert dataset.class_names == CIFAR100_CLASSES


def test_there_are_a_hundred_sorted_fine_names():
    assert len(set(CIFAR100_CLASSES)) == 100
    assert list(CIFAR100_CLASSES) == sorted(CIFAR100_CLASSES)


def test_the_real_files(load, cnnlab_data):
    dataset = load("cifar10", root=cnnlab_data)
    assert {name: split.images.shape for name, split in dataset.splits.items()} == {
        "train": (40_000, 32, 32, 3),
        "validation": (10_000, 32, 32, 3),
        "test": (10_000, 32, 32, 3),
    }
    meta = pickle.loads((cnnlab_data / "cifar-10-batches-py" / "batches.meta").read_bytes(), encoding="bytes")
    assert dataset.class_names == CIFAR10_CLASSES == tuple(name.decode() for name in meta[b"label_names"])
    batch = pickle.loads((cnnlab_data / "cifar-10-batches-py" / "test_batch").read_bytes(), encoding="bytes")
    np.testing.assert_array_equal(dataset.splits["test"].labels, batch[b"labels"])
    red = batch[b"data"][17, :1024].reshape(32, 32)
    np.testing.assert_array_equal(dataset.splits["test"].images[17, :, :, 0], red)
