"""MNIST's idx files."""

import numpy as np
import pytest

from cnnlab.data.mnist import read_idx


@pytest.fixture
def write_mnist(write_idx):
    def write(folder, suffix=""):
        random = np.random.default_rng(0)
        written = {}
        for prefix, count in (("train", 50), ("t10k", 20)):
            images = random.integers(0, 256, (count, 28, 28), np.uint8)
            labels = np.arange(count, dtype=np.uint8) % 10
            write_idx(folder / f"{prefix}-images-idx3-ubyte{suffix}", images)
            write_idx(folder / f"{prefix}-labels-idx1-ubyte{suffix}", labels)
            written[prefix] = images, labels
        return written

    return write


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_files_are_read_gzipped_or_not(load, write_mnist, tmp_path, suffix):
    written = write_mnist(tmp_path / "mnist", suffix)
    dataset = load("mnist", root=tmp_path, validation="none")
    assert set(dataset.splits) == {"train", "test"}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = written[prefix]
        np.testing.assert_array_equal(dataset.splits[split].images[..., 0], images)
        np.testing.assert_array_equal(dataset.splits[split].labels, labels)
        assert dataset.splits[split].labels.dtype == np.int32


def test_root_may_be_the_published_folder_itself(load, write_mnist, tmp_path):
    write_mnist(tmp_path)
    assert len(load("mnist", root=tmp_path).splits["test"]) == 20


def test_without_root_the_data_folder_is_searched(load, write_mnist, tmp_path, monkeypatch):
    write_mnist(tmp_path / "somewhere" / "mnist")
    monkeypatch.setenv("CNNLAB_DATA", str(tmp_path / "somewhere"))
    assert len(load("mnist").splits["test"]) == 20


def test_without_root_and_variable_the_folder_data_is_searched(load, write_mnist, tmp_path, monkeypatch):
    write_mnist(tmp_path / "data" / "mnist")
    monkeypatch.delenv("CNNLAB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert len(load("mnist").splits["test"]) == 20


def test_fashion_mnist_is_never_taken_from_mnists_folder(load, write_mnist, tmp_path):
    write_mnist(tmp_path / "mnist")
    write_mnist(tmp_path / "fashion_mnist")
    dataset = load("fashion_mnist", root=tmp_path)
    assert dataset.class_names[-1] == "Ankle boot"


def test_images_are_enlarged_and_made_rgb_where_the_config_says_so(load, write_mnist, tmp_path):
    write_mnist(tmp_path)
    images = load("mnist", root=tmp_path, image_shape=[32, 32, 3]).splits["test"].images
    assert images.shape == (20, 32, 32, 3)
    np.testing.assert_array_equal(images[..., 0], images[..., 2])


def test_read_idx_returns_any_number_of_dimensions(write_idx, tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    write_idx(tmp_path / "array", array)
    np.testing.assert_array_equal(read_idx(tmp_path / "array", dimensions=3), array)


def test_the_real_files(load, cnnlab_data):
    dataset = load("mnist", root=cnnlab_data)
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": 48_000,
        "validation": 12_000,
        "test": 10_000,
    }
    assert dataset.splits["test"].labels[:5].tolist() == [7, 2, 1, 0, 4]
    pixels = np.concatenate([dataset.splits[name].images for name in ("train", "validation")]) / np.float32(255)
    assert pixels.mean(dtype=np.float64) == pytest.approx(0.1307, abs=5e-5)  # the figures everyone normalises with
    assert pixels.std(dtype=np.float64) == pytest.approx(0.3081, abs=5e-5)
