"""Damaged, missing and hostile data: one line that names the file, and nothing executed."""

import gzip
import os
import pickle
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.data.load import load_dataset
from cnnlab.errors import UserError


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    folder = tmp_path / "mnist"
    folder.mkdir()
    for prefix in ("train", "t10k"):
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", np.zeros((20, 28, 28), np.uint8))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", np.arange(20, dtype=np.uint8) % 10)
    return folder


def write_idx(path: Path, array: np.ndarray) -> None:
    content = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def cifar10(tmp_path: Path) -> Path:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        write_batch(folder / name, list(range(10)))
    return folder


def write_batch(path: Path, labels: Any, rows: int = 10) -> None:
    path.write_bytes(pickle.dumps({"data": np.zeros((rows, 3072), np.uint8), "labels": labels}, protocol=2))


# A folder that is not there, or empty


@pytest.mark.parametrize(
    "name", ["mnist", "fashion_mnist", "cifar10", "cifar100", "image_folder", "cats_vs_dogs", "arrays"]
)
def test_a_missing_root_is_refused(refusal, name, tmp_path):
    assert refusal(name, tmp_path / "nowhere") == f"dataset.root={tmp_path / 'nowhere'}: no such file or folder"


@pytest.mark.parametrize(
    ("name", "looked_for"),
    [
        ("mnist", ["mnist", "train-images-idx3-ubyte"]),
        ("cifar10", ["cifar-10-batches-py", "cifar-10-python.tar.gz", "data_batch_1"]),
        ("cifar100", ["cifar-100-python", "cifar-100-python.tar.gz", "train"]),
        ("cats_vs_dogs", ["cats_vs_dogs", "train"]),
        ("image_folder", ["CLASS/", "train/CLASS/"]),
    ],
)
def test_an_empty_root_is_refused_with_what_was_looked_for(refusal, name, looked_for, tmp_path):
    message = refusal(name, tmp_path)
    assert str(tmp_path) in message
    assert all(part in message for part in looked_for)


@pytest.mark.parametrize("name", ["image_folder", "arrays", "table"])
def test_your_own_data_needs_a_root(dataset_config, name):
    config = dataset_config(name)
    with pytest.raises(UserError, match=r"^dataset\.root is null: set it to "):
        load_dataset(config, split_seed=0)


def test_cats_and_dogs_are_not_downloaded(dataset_config, tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    config = dataset_config("cats_vs_dogs")
    with pytest.raises(UserError, match=r"^cats_vs_dogs: not in \$CNNLAB_DATA or \./data; set dataset\.root=DIR"):
        load_dataset(config, split_seed=0)


def test_an_empty_published_folder_is_refused(refusal, tmp_path):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "cifar-10-batches-py").mkdir()
    assert refusal("mnist", tmp_path) == (
        f"{tmp_path / 'mnist'}: train-images-idx3-ubyte (or train-images-idx3-ubyte.gz) is missing"
    )
    assert refusal("cifar10", tmp_path) == f"{tmp_path / 'cifar-10-batches-py'}: data_batch_1 is missing"


def test_one_missing_file_is_named(refusal, mnist, cifar10):
    (mnist / "t10k-labels-idx1-ubyte").unlink()
    assert "t10k-labels-idx1-ubyte" in refusal("mnist", mnist)
    (cifar10 / "data_batch_3").unlink()
    assert refusal("cifar10", cifar10) == f"{cifar10}: data_batch_3 is missing"


# Truncated and foreign files


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_truncated_gzip_is_named(refusal, truncate, mnist, kept):
    path = mnist / "train-images-idx3-ubyte.gz"
    truncate(path, kept)
    assert refusal("mnist", mnist).startswith(f"{path}: is ")


@pytest.mark.parametrize("kept", [0.0, 0.2, 0.9])
def test_a_truncated_idx_is_named(refusal, truncate, mnist, kept):
    path = mnist / "train-labels-idx1-ubyte"
    truncate(path, kept)
    assert refusal("mnist", mnist).startswith(f"{path}: is ")


def test_files_swapped_by_mistake_are_named(refusal, mnist):
    (mnist / "train-images-idx3-ubyte.gz").unlink()
    shutil.copy(mnist / "train-labels-idx1-ubyte", mnist / "train-images-idx3-ubyte")
    message = refusal("mnist", mnist)
    assert message == f"{mnist / 'train-images-idx3-ubyte'}: is no idx file of unsigned bytes with 3 dimensions"


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_pickle_is_named(refusal, truncate, cifar10, kept):
    truncate(cifar10 / "data_batch_2", kept)
    assert refusal("cifar10", cifar10).startswith(f"{cifar10 / 'data_batch_2'}: is truncated")


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_archive_is_named(refusal, truncate, cifar10, tmp_path, kept):
    path = tmp_path / "packed" / "cifar-10-python.tar.gz"
    path.parent.mkdir()
    for batch in cifar10.iterdir():  # pixels that do not compress, so that every cut hits a batch
        data = np.random.default_rng(0).integers(0, 256, (10, 3072), np.uint8)
        batch.write_bytes(pickle.dumps({"data": data, "labels": list(range(10))}, protocol=2))
    with tarfile.open(path, "w:gz") as packed:
        packed.add(cifar10, cifar10.name)
    truncate(path, kept)
    message = refusal("cifar10", path.parent)
    assert message.startswith(f"{path}: cannot be read (")
    assert message.endswith("fetch it again")


@pytest.mark.parametrize("content", [[1, 2], {"data": [1]}, {"data": np.zeros((2, 5), np.uint8)}])
def test_a_pickle_of_something_else_is_named(refusal, cifar10, content):
    (cifar10 / "test_batch").write_bytes(pickle.dumps(content, protocol=2))
    assert refusal("cifar10", cifar10).startswith(f"{cifar10 / 'test_batch'}: is no CIFAR batch")


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.95])
def test_a_truncated_npz_is_named(refusal, truncate, archive, kept):
    truncate(archive, kept)
    assert refusal("arrays", archive).startswith(f"{archive}: is damaged or no .npz of plain arrays")


# Hostile files


class Attack:
    """A pickle of this runs a shell command when the pickle module reads it."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_that_calls_os_system_is_refused_and_nothing_is_executed(refusal, cifar10, tmp_path, protocol):
    attack = pickle.dumps({"data": Attack(f"touch {tmp_path / 'executed'}"), "labels": [0]}, protocol=protocol)
    pickle.loads(attack)
    (tmp_path / "executed").unlink()  # the attack works where nobody is on guard
    (cifar10 / "data_batch_4").write_bytes(attack)
    message = refusal("cifar10", cifar10)
    assert message.startswith(f"{cifar10 / 'data_batch_4'}: refused")
    assert message.endswith(f"the pickle asks for {os.name}.system")
    assert not (tmp_path / "executed").exists()


def test_pickled_objects_in_an_npz_are_refused_and_nothing_is_executed(refusal, archive, tmp_path):
    attack = np.array([Attack(f"touch {tmp_path / 'executed'}")], dtype=object)
    np.savez(archive, x_train=attack, y_train=np.zeros(1, int))
    assert refusal("arrays", archive).startswith(f"{archive}: is damaged or no .npz of plain arrays")
    assert not (tmp_path / "executed").exists()


# Labels, counts and shapes


def test_labels_out_of_range_are_named(refusal, mnist, cifar10, archive):
    labels = mnist / "train-labels-idx1-ubyte"
    write_idx(labels, np.array([*range(10), 12, 11, *range(8)], np.uint8))
    assert refusal("mnist", mnist) == f"{labels}: label 12 of example 10 is not in 0..9 (2 such labels)"
    write_batch(cifar10 / "data_batch_5", [0, 1, -1, 3, 4, 5, 6, 7, 8, 9])
    assert f"{cifar10 / 'data_batch_5'}: label -1 of example 2 is not in 0..9" in refusal("cifar10", cifar10)
    assert f"{archive}: x_train, y_train: label 3 of example 3 is not in 0..2" in refusal(
        "arrays", archive, num_classes=3
    )


@pytest.mark.parametrize("labels", [["cat"] * 10, 3, [10**30] * 10])
def test_labels_that_are_no_class_numbers_are_named(refusal, cifar10, labels):
    write_batch(cifar10 / "data_batch_1", labels)
    assert refusal("cifar10", cifar10).startswith(f"{cifar10 / 'data_batch_1'}: ")


def test_more_images_than_labels_are_refused(refusal, mnist, cifar10):
    write_idx(mnist / "train-labels-idx1-ubyte", np.zeros(19, np.uint8))
    assert refusal("mnist", mnist) == f"{mnist / 'train-labels-idx1-ubyte'}: 20 images, but 19 labels"
    write_batch(cifar10 / "test_batch", list(range(10)), rows=11)
    assert refusal("cifar10", cifar10) == f"{cifar10 / 'test_batch'}: 11 images, but 10 labels"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, "holds nothing; expected x_train"),
        ({"x_test": np.zeros((2, 4, 4), np.uint8), "y_test": np.zeros(2, int)}, "x_train is missing"),
        ({"x_train": np.zeros((2, 4, 4), np.uint8)}, "x_train has no labels y_train"),
        ({"x_train": np.zeros((2, 4, 4)), "y_train": np.zeros(2, int)}, "images are float64 of shape (2, 4, 4, 1)"),
        ({"x_train": np.zeros((2, 4), np.uint8), "y_train": np.zeros(2, int)}, "images are uint8 of shape (2, 4)"),
        ({"x_train": np.zeros((2, 4, 4), np.uint8), "y_train": np.zeros((2, 3))}, "labels are float64 of shape (2, 3)"),
        ({"x_train": np.zeros((0, 4, 4), np.uint8), "y_train": np.zeros(0, int)}, "holds no images"),
    ],
)  # fmt: skip
def test_arrays_of_another_kind_are_refused(refusal, tmp_path, content, reason):
    np.savez(tmp_path / "set.npz", **content)
    message = refusal("arrays", tmp_path / "set.npz")
    assert message.startswith(str(tmp_path / "set.npz"))
    assert reason in message
