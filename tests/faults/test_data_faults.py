"""Damaged, missing and hostile data: one line that names the file, and nothing executed."""

import gzip
import os
import pickle
import shutil
import tarfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf
from PIL import Image

from cnnlab.data.data_loader import build_data_loader
from cnnlab.data.dataset import Dataset
from cnnlab.data.decode import load_images
from cnnlab.data.image_files import NO_IMAGE
from cnnlab.data.load import load_dataset
from cnnlab.data.sampler import TrainingSampler
from cnnlab.errors import UserError


def load(name: str, root: Path, **overrides: Any) -> Dataset:
    config = OmegaConf.load(files("cnnlab.conf") / "dataset" / f"{name}.yaml")
    return load_dataset(OmegaConf.merge(config, {"root": str(root), **overrides}), split_seed=0)


def refusal(name: str, root: Path, **overrides: Any) -> str:
    """The message with which the dataset is refused."""
    with pytest.raises(UserError) as caught:
        load(name, root, **overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


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


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("train/cat/1.png", "train/dog/1.jpg", "validation/cat/1.gif", "validation/dog/1.bmp"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    return tmp_path / "photos"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, x_train=np.zeros((20, 28, 28), np.uint8), y_train=np.arange(20) % 10)
    return path


# A folder that is not there, or empty


@pytest.mark.parametrize(
    "name", ["mnist", "fashion_mnist", "cifar10", "cifar100", "image_folder", "cats_vs_dogs", "arrays"]
)
def test_a_missing_root_is_refused(name, tmp_path):
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
def test_an_empty_root_is_refused_with_what_was_looked_for(name, looked_for, tmp_path):
    message = refusal(name, tmp_path)
    assert str(tmp_path) in message
    assert all(part in message for part in looked_for)


@pytest.mark.parametrize("name", ["image_folder", "arrays"])
def test_your_own_data_needs_a_root(name):
    config = OmegaConf.load(files("cnnlab.conf") / "dataset" / f"{name}.yaml")
    with pytest.raises(UserError, match=r"^dataset\.root is null: set it to "):
        load_dataset(config, split_seed=0)


def test_cats_and_dogs_are_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    config = OmegaConf.load(files("cnnlab.conf") / "dataset" / "cats_vs_dogs.yaml")
    with pytest.raises(UserError, match=r"^cats_vs_dogs: not in \$CNNLAB_DATA or \./data; set dataset\.root=DIR"):
        load_dataset(config, split_seed=0)


def test_an_empty_published_folder_is_refused(tmp_path):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "cifar-10-batches-py").mkdir()
    assert refusal("mnist", tmp_path) == (
        f"{tmp_path / 'mnist'}: train-images-idx3-ubyte (or train-images-idx3-ubyte.gz) is missing"
    )
    assert refusal("cifar10", tmp_path) == f"{tmp_path / 'cifar-10-batches-py'}: data_batch_1 is missing"


def test_one_missing_file_is_named(mnist, cifar10):
    (mnist / "t10k-labels-idx1-ubyte").unlink()
    assert "t10k-labels-idx1-ubyte" in refusal("mnist", mnist)
    (cifar10 / "data_batch_3").unlink()
    assert refusal("cifar10", cifar10) == f"{cifar10}: data_batch_3 is missing"


# Truncated and foreign files


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_truncated_gzip_is_named(mnist, kept):
    path = mnist / "train-images-idx3-ubyte.gz"
    truncate(path, kept)
    assert refusal("mnist", mnist).startswith(f"{path}: is ")


@pytest.mark.parametrize("kept", [0.0, 0.2, 0.9])
def test_a_truncated_idx_is_named(mnist, kept):
    path = mnist / "train-labels-idx1-ubyte"
    truncate(path, kept)
    assert refusal("mnist", mnist).startswith(f"{path}: is ")


def test_files_swapped_by_mistake_are_named(mnist):
    (mnist / "train-images-idx3-ubyte.gz").unlink()
    shutil.copy(mnist / "train-labels-idx1-ubyte", mnist / "train-images-idx3-ubyte")
    message = refusal("mnist", mnist)
    assert message == f"{mnist / 'train-images-idx3-ubyte'}: is no idx file of unsigned bytes with 3 dimensions"


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_pickle_is_named(cifar10, kept):
    truncate(cifar10 / "data_batch_2", kept)
    assert refusal("cifar10", cifar10).startswith(f"{cifar10 / 'data_batch_2'}: is truncated")


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_archive_is_named(cifar10, tmp_path, kept):
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
def test_a_pickle_of_something_else_is_named(cifar10, content):
    (cifar10 / "test_batch").write_bytes(pickle.dumps(content, protocol=2))
    assert refusal("cifar10", cifar10).startswith(f"{cifar10 / 'test_batch'}: is no CIFAR batch")


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.95])
def test_a_truncated_npz_is_named(archive, kept):
    truncate(archive, kept)
    assert refusal("arrays", archive).startswith(f"{archive}: is damaged or no .npz of plain arrays")


@pytest.mark.parametrize("name", ["train/cat/1.png", "train/dog/1.jpg", "validation/cat/1.gif", "validation/dog/1.bmp"])
@pytest.mark.parametrize("kept", [0.1, 0.5])
def test_a_truncated_image_is_found_before_training(photos, name, kept):
    path = photos / name
    whole = shutil.copy(path, path.with_stem("2"))
    truncate(path, kept)
    dataset, split = load("image_folder", photos), name.split("/")[0]
    assert [*dataset.skipped[split]] == [str(path)]
    assert dataset.skipped[split][str(path)].startswith(("damaged: ", NO_IMAGE))
    assert str(whole) in dataset.splits[split].images.paths
    assert refusal("image_folder", photos, on_error="stop").startswith(f"{path}: {dataset.skipped[split][str(path)]}; ")


def test_an_image_that_is_damaged_after_the_check_is_named_when_it_is_decoded(photos):
    train = load("image_folder", photos).splits["train"]
    truncate(photos / "train/dog/1.jpg", 0.5)
    with pytest.raises(UserError) as caught:
        load_images(train.images)
    assert str(caught.value) == f"{photos / 'train/dog/1.jpg'}: cannot be decoded; replace or remove it"


def truncate(path: Path, kept: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])


# Hostile files


class Attack:
    """A pickle of this runs a shell command when the pickle module reads it."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_that_calls_os_system_is_refused_and_nothing_is_executed(cifar10, tmp_path, protocol):
    attack = pickle.dumps({"data": Attack(f"touch {tmp_path / 'executed'}"), "labels": [0]}, protocol=protocol)
    pickle.loads(attack)
    (tmp_path / "executed").unlink()  # the attack works where nobody is on guard
    (cifar10 / "data_batch_4").write_bytes(attack)
    message = refusal("cifar10", cifar10)
    assert message.startswith(f"{cifar10 / 'data_batch_4'}: refused")
    assert message.endswith(f"the pickle asks for {os.name}.system")
    assert not (tmp_path / "executed").exists()


def test_pickled_objects_in_an_npz_are_refused_and_nothing_is_executed(archive, tmp_path):
    attack = np.array([Attack(f"touch {tmp_path / 'executed'}")], dtype=object)
    np.savez(archive, x_train=attack, y_train=np.zeros(1, int))
    assert refusal("arrays", archive).startswith(f"{archive}: is damaged or no .npz of plain arrays")
    assert not (tmp_path / "executed").exists()


# Labels, counts and shapes


def test_labels_out_of_range_are_named(mnist, cifar10, archive):
    labels = mnist / "train-labels-idx1-ubyte"
    write_idx(labels, np.array([*range(10), 12, 11, *range(8)], np.uint8))
    assert refusal("mnist", mnist) == f"{labels}: label 12 of example 10 is not in 0..9 (2 such labels)"
    write_batch(cifar10 / "data_batch_5", [0, 1, -1, 3, 4, 5, 6, 7, 8, 9])
    assert f"{cifar10 / 'data_batch_5'}: label -1 of example 2 is not in 0..9" in refusal("cifar10", cifar10)
    assert f"{archive}: x_train, y_train: label 3 of example 3 is not in 0..2" in refusal(
        "arrays", archive, num_classes=3
    )


@pytest.mark.parametrize("labels", [["cat"] * 10, 3, [10**30] * 10])
def test_labels_that_are_no_class_numbers_are_named(cifar10, labels):
    write_batch(cifar10 / "data_batch_1", labels)
    assert refusal("cifar10", cifar10).startswith(f"{cifar10 / 'data_batch_1'}: ")


def test_more_images_than_labels_are_refused(mnist, cifar10):
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
def test_arrays_of_another_kind_are_refused(tmp_path, content, reason):
    np.savez(tmp_path / "set.npz", **content)
    message = refusal("arrays", tmp_path / "set.npz")
    assert message.startswith(str(tmp_path / "set.npz"))
    assert reason in message


# Class folders


def test_a_class_without_an_image_is_named(photos):
    (photos / "train" / "bird").mkdir()
    assert refusal("image_folder", photos).startswith(f"{photos / 'train' / 'bird'}: the class has no ")


def test_a_class_that_holds_only_other_files_is_named(photos):
    (photos / "train" / "dog" / "1.jpg").write_text("no image")
    assert refusal("image_folder", photos).startswith(f"{photos / 'train' / 'dog'}: the class has no ")


def test_a_class_that_training_does_not_know_is_named(photos):
    (photos / "validation" / "dog").rename(photos / "validation" / "bird")
    assert refusal("image_folder", photos) == f"{photos}: validation has a class bird that train has not"


def test_a_single_class_is_refused(photos):
    shutil.rmtree(photos / "train" / "dog")
    assert "found only the class cat" in refusal("image_folder", photos / "train")


def test_split_folders_without_train_are_refused(photos):
    (photos / "train").rename(photos / "trian")
    (photos / "test" / "cat").mkdir(parents=True)
    assert refusal("image_folder", photos).startswith(
        f"{photos}: validation/ and test/ look like splits, but there is no train/ with class folders"
    )


def test_a_split_without_an_image_is_refused(photos):
    for name in ("cat/1.gif", "dog/1.bmp"):
        (photos / "validation" / name).unlink()
    assert refusal("image_folder", photos).startswith(f"{photos / 'validation'}: holds no ")


def test_images_without_class_folders_are_counted(photos):
    assert "found images (1), but no class folders; expected CLASS/" in refusal(
        "image_folder", photos / "train" / "cat"
    )


def test_the_folder_above_the_right_one_leads_to_it(photos):
    (photos / "train").rename(photos.parent / "unpacked")
    shutil.rmtree(photos)
    (photos.parent / "unpacked").rename(photos)
    message = refusal("image_folder", photos.parent)
    assert message.endswith(f"found only the class photos; expected CLASS/… or train/CLASS/… for two classes or more; "
                            f"its classes may be those in dataset.root={photos}")  # fmt: skip


def test_a_file_that_is_no_image_is_refused_where_errors_stop(photos):
    (photos / "train" / "cat" / "2.jpg").write_text("no image")
    assert len(load("image_folder", photos).splits["train"]) == 2
    message = refusal("image_folder", photos, on_error="stop")
    assert message.startswith(f"{photos / 'train' / 'cat' / '2.jpg'}: no JPEG, PNG, ")
    assert "dataset.on_error=skip" in message


def test_a_dangling_link_is_refused_where_errors_stop(photos):
    (photos / "train" / "cat" / "2.jpg").symlink_to(photos / "gone.jpg")
    message = refusal("image_folder", photos, on_error="stop")
    assert message.startswith(f"{photos / 'train' / 'cat' / '2.jpg'}: broken link; ")


def test_a_file_name_that_is_not_utf8_is_named(photos):
    os.rename(os.fsencode(photos / "train" / "cat" / "1.png"), os.fsencode(photos / "train" / "cat") + b"/\xff.png")  # noqa: PTH104
    message = refusal("image_folder", photos)
    assert "\\xff.png" in message
    assert "the file name is not UTF-8; rename it" in message


def test_the_name_of_a_file_that_is_no_image_may_be_anything(photos):
    Path(os.fsdecode(os.fsencode(photos / "train" / "cat") + b"/\xff.txt")).write_text("no image")
    assert len(load("image_folder", photos).splits["train"]) == 2


def test_a_link_to_itself_is_one_that_is_broken(photos):
    (photos / "train" / "cat" / "2.jpg").symlink_to("2.jpg")
    assert [*load("image_folder", photos).skipped["train"].values()] == ["broken link"]


def test_a_file_where_a_folder_should_be_is_refused(archive):
    assert refusal("image_folder", archive) == f"{archive}: is no folder; an .npz file is read by dataset=arrays"


def test_a_folder_where_a_file_should_be_is_refused(photos):
    assert refusal("arrays", photos) == f"{photos}: is a folder, no .npz file; class folders: dataset=image_folder"


def test_an_image_that_is_damaged_while_it_is_streamed_is_named(photos):
    train = load("image_folder", photos).splits["train"]
    sampler = TrainingSampler(len(train), 2, seed=0)
    loader = build_data_loader(
        train, sampler, tf.distribute.OneDeviceStrategy("CPU:0"), mode="stream", cache_limit_mib=0
    )
    truncate(photos / "train/dog/1.jpg", 0.5)
    with pytest.raises(UserError, match=r"1\.jpg: cannot be decoded \(step 3\); replace or remove it"):
        loader.inputs(3, 1)
