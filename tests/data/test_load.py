"""From the configuration to a dataset."""

import inspect
import subprocess
import sys
from importlib.resources import files

import pytest
from hydra.utils import get_method
from omegaconf import OmegaConf

from cnnlab.data.load import COMMON_KEYS
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


def test_fewer_outputs_than_classes_are_refused(load):
    with pytest.raises(UserError, match=r"^dataset\.num_classes=9: there are 10 classes; set it to 10 or more$"):
        load("digits", num_classes=9)


@pytest.mark.parametrize("shape", [[28, 28], [28, 28, 4], [0, 28, 1], [28.0, 28, 1], [28, 28, 1, 1]])
def test_an_image_shape_that_is_none_is_refused(load, shape):
    with pytest.raises(UserError, match=r"^dataset\.image_shape=\[.*\]: expected \[height, width, channels\]"):
        load("digits", image_shape=shape)


def test_validation_is_absent_where_it_is_none(load):
    assert set(load("digits", image_shape=[8, 8, 1], validation="none").splits) == {"train", "test"}
