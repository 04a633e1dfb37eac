"""From the configuration to a dataset."""

import inspect
import subprocess
import sys
from importlib.resources import files

import numpy as np
import pytest
from hydra.utils import get_method
from omegaconf import OmegaConf

from cnnlab.data.dataset import PublishedDataset, Split
from cnnlab.data.load import COMMON_KEYS, load_dataset, load_split
from cnnlab.errors import UserError

OPTIONS = sorted(path.stem for path in (files("cnnlab.conf") / "dataset").iterdir() if path.suffix == ".yaml")


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_fits_its_reader(dataset_config, option):
    config = dataset_config(option)
    arguments = inspect.signature(get_method(config._target_)).parameters
    assert OmegaConf.is_missing(config, "name") or config.name == option
    assert {"image_shape", "num_classes", "validation", "folds", "fold", "sampling"} <= config.keys()
    assert config.keys() - {"_target_", "name"} - COMMON_KEYS <= arguments.keys()
    assert arguments.keys() <= config.keys() | {"folder"}


def test_tensorflow_is_not_needed_for_images_of_their_own_size():
    code = """
import sys
from omegaconf import OmegaConf
from cnnlab.data.load import load_dataset
config = {"_target_": "cnnlab.data.digits.digits", "name": "digits", "image_shape": [8, 8, 1], "num_classes": 10,
          "validation": 0.2, "test_fraction": 0.2}
load_dataset(OmegaConf.create(config), 0)
sys.exit("tensorflow" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_same_seed_draws_the_same_splits(load):
    first, again, other = (load("digits", split_seed=seed, image_shape=[8, 8, 1]) for seed in (3, 3, 4))
    for name in first.splits:
        assert (first.splits[name].images == again.splits[name].images).all()
    assert (first.splits["test"].images != other.splits["test"].images).any()


def test_outputs_wider_than_the_labels_are_called_by_their_index(load):
    dataset = load("digits", image_shape=[8, 8, 1], num_classes=12)
    assert dataset.class_names == (*"0123456789", "10", "11")


def test_no_two_outputs_get_one_name_where_the_classes_are_numbers_with_a_gap(load, write_image, tmp_path):
    for name in ("0", "1", "3"):
        write_image(tmp_path / name / "a.png", np.full((8, 8), int(name), np.uint8))
    with pytest.raises(UserError, match=r"^dataset\.num_classes=4: output 3 would be called like the class 3"):
        load("image_folder", root=tmp_path, num_classes=4)


def test_fewer_outputs_than_classes_are_refused(load):
    with pytest.raises(UserError, match=r"^dataset\.num_classes=9: there are 10 classes; set it to 10 or more$"):
        load("digits", num_classes=9)


@pytest.mark.parametrize("shape", [[28, 28], [28, 28, 4], [0, 28, 1], [28.0, 28, 1], [28, 28, 1, 1]])
def test_an_image_shape_that_is_none_is_refused(load, shape):
    with pytest.raises(UserError, match=r"^dataset\.image_shape=\[.*\]: expected \[height, width, channels\]"):
        load("digits", image_shape=shape)


def test_validation_is_absent_where_it_is_none(load):
    assert set(load("digits", image_shape=[8, 8, 1], validation="none").splits) == {"train", "test"}


IMAGES, LABELS = np.zeros((9, 8, 8, 1), np.uint8), np.arange(9) % 3


def read_own(name: str) -> PublishedDataset:
    """A reader as a user may write one; `name` says which of `OWN` it returns."""
    return OWN[name]()


def published(images=IMAGES, labels=LABELS, names=("a", "b", "c"), split="train", **columns) -> PublishedDataset:
    return PublishedDataset(names, {split: Split(images, labels, **columns)})


OWN = {
    "good": lambda: published(labels=LABELS.astype(np.uint8), names=["a", "b", "c"]),
    "floats": lambda: published(np.zeros((9, 8, 8, 1), np.float32)),
    "other floats": lambda: published(np.zeros((9, 20, 20, 1))),
    "no channels": lambda: published(IMAGES[..., 0]),
    "fewer labels": lambda: published(labels=LABELS[:-1]),
    "from 1": lambda: published(labels=LABELS + 1),
    "below 0": lambda: published(labels=LABELS - 1),
    "one-hot": lambda: published(labels=np.eye(3)[LABELS]),
    "a list": lambda: published(labels=LABELS.tolist()),
    "numbers": lambda: published(names=(0, 1, 2)),
    "twice": lambda: published(names=("a", "b", "a")),
    "fewer weights": lambda: published(weights=np.ones(8, np.float32)),
    "val": lambda: PublishedDataset(("a", "b", "c"), {"train": Split(IMAGES, LABELS), "val": Split(IMAGES, LABELS)}),
    "test": lambda: published(split="test"),
    "pair": lambda: (IMAGES, LABELS),
}


def load_own(name: str):
    config = {"_target_": f"{__name__}.read_own", "name": name, "image_shape": [8, 8, 1], "num_classes": None}
    return load_dataset(OmegaConf.create({**config, "validation": "none"}), 0)


def read_shape(image_shape: tuple[int, int, int]) -> PublishedDataset:
    """A reader that fails where it is not given the shape of the images as its annotation says."""
    assert image_shape == (8, 8, 1)
    return published()


def test_a_reader_is_given_the_shape_of_the_images_as_a_tuple():
    config = {"_target_": f"{__name__}.read_shape", "name": "shaped", "image_shape": [8, 8, 1], "num_classes": None}
    assert load_dataset(OmegaConf.create({**config, "validation": "none"}), 0).image_shape == (8, 8, 1)


@pytest.mark.parametrize("name", ["absent", "absent.csv", "absent.npz"])
def test_data_that_are_not_there_are_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"^data=.*absent.*: no such folder or file$"):
        load_split(tmp_path / name, "test", (8, 8, 1), 3, "crop")


def test_a_reader_of_ones_own_may_return_any_integers_for_labels_and_a_list_of_names():
    dataset = load_own("good")
    assert dataset.class_names == ("a", "b", "c")
    assert dataset.splits["train"].labels.dtype == np.int32


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("floats", r"train: images are float32 of shape \(9, 8, 8, 1\); expected uint8 .*; use \(x \* 255\)"),
        ("other floats", r"train: images are float64 of shape \(9, 20, 20, 1\); expected uint8"),
        ("no channels", r"train: images are uint8 of shape \(9, 8, 8\); .*; of grey images: x\[..., np.newaxis\]"),
        ("fewer labels", r"train: 9 images, but 8 labels"),
        ("from 1", r"train: label 3 of example 2 is not in 0..2"),
        ("below 0", r"train: label -1 of example 0 is not in 0..2"),
        ("one-hot", r"train: labels are float64 of shape \(9, 3\); .*; of one-hot labels: y.argmax\(1\)"),
        ("a list", r"train: labels are list; expected a NumPy array"),
        ("numbers", r"class_names are \(0, 1, 2\); expected a tuple of texts, one per class"),
        ("twice", r"two classes are called a; give each a name of its own"),
        ("fewer weights", r"train: 9 images, but 8 weights"),
        ("val", r"val is no split; splits: train, validation, test"),
        ("test", r"returns no split train, but test"),
        ("pair", r"returns tuple, not a cnnlab.data.dataset.PublishedDataset"),
    ],
)
def test_what_a_reader_of_ones_own_returns_is_checked(name, told):
    with pytest.raises(UserError, match=rf"^dataset\._target_={__name__}\.read_own[:,] {told}"):
        load_own(name)
