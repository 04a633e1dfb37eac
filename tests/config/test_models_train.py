"""Every builder of a model trains from the command line: one step on a handful of made-up images.

The options of one builder differ in its arguments alone; tests/models builds each of them.
"""

from importlib.resources import files

import numpy as np
import pytest
import yaml
from omegaconf import OmegaConf

from cnnlab import cli

CONF = files("cnnlab.conf")
TRAINED = {
    "all_cnn_large": ["input_shape=[126,126,3]", "model.width=0.03"],
    "lenet5": ["input_shape=[28,28,1]"],
    "lenet5_1998": ["input_shape=[28,28,1]"],
    "squeezenet": ["input_shape=[32,32,3]"],
    "strided_cnn_a": ["input_shape=[20,20,3]"],
    "zfnet": ["input_shape=[53,53,3]"],
}
BY_A_RECIPE = {
    *("airbench", "alexnet", "alexnet_small", "all_cnn_c", "cats_dogs_cnn", "googlenet", "mnist_cnn", "resnet"),
    "transfer",
}
"""Models that a recipe in conf/experiment/ trains; see test_experiments.py."""


def contents(group: str) -> dict[str, dict]:
    return {
        file.name.removesuffix(".yaml"): yaml.safe_load(file.read_text())
        for file in (CONF / group).iterdir()
        if file.name.endswith(".yaml")
    }


def test_every_builder_is_trained_here_or_by_a_recipe():
    builders = {name: node["_target_"] for name, node in contents("model").items()}
    assert {builders[name] for name in (*TRAINED, *BY_A_RECIPE, "hub")} == set(builders.values())  # see test_hub.py
    chosen = [entry for recipe in contents("experiment").values() for entry in recipe["defaults"]]
    assert {entry["override /model"] for entry in chosen if "override /model" in entry} == BY_A_RECIPE


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Two classes of made-up images, grey and in colour: NPZ files by number of channels."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for channels in (1, 3):
        x, y = rng.integers(0, 256, (8, 32, 32, channels), dtype=np.uint8), np.arange(8) % 2
        np.savez(folder / f"{channels}.npz", x_train=x, y_train=y, x_validation=x, y_validation=y)
    return folder


@pytest.mark.parametrize("model", TRAINED)
def test_a_builders_network_takes_a_step(tmp_path, images, model):
    channels = TRAINED[model][0][-2]
    overrides = [
        f"model={model}",
        *TRAINED[model],
        "dataset=arrays",
        f"dataset.root={images}/{channels}.npz",
        "num_classes=2",
        "augmentation=none",
        "optimizer=sgd",
        "trainer.batch_size=4",
        "trainer.steps=1",
        "trainer.steps_per_epoch=1",
        "trainer.progress=none",
    ]
    assert cli.main(["train", *overrides, f"hydra.run.dir={tmp_path}/run"]) == 0
    record = OmegaConf.load(tmp_path / "run" / "run.json")
    assert record.status == "completed"
    assert np.isfinite(record.best.value)
