"""Every model in conf/model/ trains from the command line: one step on a handful of made-up images."""

from importlib.resources import files

import numpy as np
import pytest
from omegaconf import OmegaConf

from cnnlab import cli

MODELS = sorted(
    file.name.removesuffix(".yaml")
    for file in (files("cnnlab.conf") / "model").iterdir()
    if file.name.endswith(".yaml")
)
GREY = {"mnist_cnn", "lenet5", "lenet5_1998"}
SIDES = {
    "mnist_cnn": 28,
    "lenet5": 28,
    "lenet5_1998": 28,
    "alexnet_small": 32,
    "airbench": 32,
    "squeezenet": 32,
    "cats_dogs_cnn": 30,
    "photo_cnn": 30,
    "alexnet": 67,
    "zfnet": 53,
    "all_cnn_large": 126,
    "googlenet": 65,
    "transfer": 64,
}
"""Pixels; the others take 20."""

SMALLER = {
    "alexnet": ["model.conv1_padding=valid"],
    "all_cnn_large": ["model.width=0.03"],
    "googlenet": ["model.auxiliary_heads=true"],
    "resnet": ["model.depth=18", "model.stem=cifar"],
    "transfer": ["model.backbone=squeezenet", "model.weights=null"],
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Two classes of made-up images, grey and in colour: NPZ files by number of channels."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for channels in (1, 3):
        x, y = rng.integers(0, 256, (8, 32, 32, channels), dtype=np.uint8), np.arange(8) % 2
        np.savez(folder / f"{channels}.npz", x_train=x, y_train=y, x_validation=x, y_validation=y)
    return folder


@pytest.mark.parametrize("model", MODELS)
def test_every_model_takes_a_step(tmp_path, images, model):
    channels, side = 1 if model in GREY else 3, SIDES.get(model, 20)
    overrides = [
        f"model={model}",
        *SMALLER.get(model, []),
        "dataset=arrays",
        f"dataset.root={images}/{channels}.npz",
        f"input_shape=[{side},{side},{channels}]",
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
