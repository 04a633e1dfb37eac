"""The recipes in conf/experiment/ train: as they are, but for one step on a handful of made-up images."""

from importlib.resources import files
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf
from PIL import Image
from tensorflow.python.framework.config import disable_op_determinism

from cnnlab import cli
from cnnlab.config.compose import launch
from cnnlab.runtime.gpu_kernels import knows_gpus
from cnnlab.training.placement import build_traced, measure_placement

SHIPPED = sorted(
    file.name.removesuffix(".yaml")
    for file in (files("cnnlab.conf") / "experiment").iterdir()
    if file.name.endswith(".yaml")
)
LIKE = {
    "all_cnn_3000": "all_cnn_seed",
    "all_cnn_curve": "all_cnn_seed",
    "alexnet_small_seed": "alexnet_small_best",
    "cats_dogs_basic": "cats_dogs_best",
    "cats_dogs_augmented": "cats_dogs_best",
    "digits_best": "mnist_cnn_best",
    "mnist_cnn_seed": "mnist_cnn_best",
}
"""Recipes that differ from another in their length, their split, their numbers, and what they leave out."""

ON_FILES = {
    "imagenet_alexnet": ["input_shape=[67,67,3]", "dataset.resize_size=77", "model.conv1_padding=valid"],
    "imagenet_googlenet": ["input_shape=[65,65,3]", "dataset.resize_size=75"],
    "imagenet_resnet50": ["input_shape=[32,32,3]", "augmentation.random_crop.shorter_side=[36,64]", "model.depth=18"],
    "photographs": [
        "input_shape=[32,32,3]",
        "dataset.resize_size=36",
        "model.backbone=squeezenet",
        "model.weights=null",
    ],
}
"""Recipes for class folders, and what makes their images and networks small."""

EXPERIMENTS = [name for name in SHIPPED if not name.startswith("sweep_") and name not in {*LIKE, *ON_FILES}]
SWEEPS = {"sweep_initializers": 4, "sweep_augmentations": 5, "sweep_regularizers": 3, "sweep_optimizers": 3}
"""Jobs of a seed."""

SLOW = {"cats_dogs_transfer_inception", "imagenet_alexnet", "imagenet_googlenet"}  # hundreds of layers to build
SMALLER = {
    "alexnet_small_best": "input_shape=[16,16,3]",
    "all_cnn_best": "input_shape=[16,16,3]",
    "all_cnn_paper": "input_shape=[16,16,3]",  # eigenvectors of 3,072 dimensions take a minute
    "all_cnn_seed": "input_shape=[16,16,3]",
    "cats_dogs_best": "input_shape=[40,40,3]",
    "cats_dogs_transfer": "input_shape=[64,64,3]",
}
IMAGES = 60  # enough to hold out stratified splits from


def composed(experiment: str, directory: Path):
    seen = []
    launch("train", [f"experiment={experiment}", f"hydra.run.dir={directory}"], lambda config, _: seen.append(config))
    return seen[0]


@pytest.mark.parametrize(
    "experiment", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in EXPERIMENTS]
)
def test_every_recipe_takes_a_step(tmp_path, experiment):
    config = composed(experiment, tmp_path / "composed")
    height, width, channels = config.dataset.image_shape
    rng = np.random.default_rng(0)
    classes = config.dataset.num_classes
    shape = (IMAGES, height, width, channels)
    images, labels = rng.integers(0, 256, shape, dtype=np.uint8), np.arange(IMAGES) % classes
    np.savez(tmp_path / "images.npz", x_train=images, y_train=labels, x_validation=images, y_validation=labels)
    overrides = [
        "dataset=arrays",
        f"dataset.root={tmp_path}/images.npz",
        f"dataset.image_shape=[{height},{width},{channels}]",
        f"dataset.num_classes={classes}",
        f"dataset.validation={config.dataset.validation}",
        "trainer.batch_size=8",
        "trainer.steps=1",
        "trainer.steps_per_epoch=1",
        "trainer.validation_steps=1",
        "trainer.progress=none",
    ]
    if experiment in SMALLER:
        overrides.append(SMALLER[experiment])
    if "weights" in config.model:  # of a pretrained backbone, which is no part of the package
        overrides.append("model.weights=null")
    run = tmp_path / "run"
    assert cli.main(["train", f"experiment={experiment}", *overrides, f"hydra.run.dir={run}"]) == 0
    assert OmegaConf.load(run / "run.json").status == "completed"


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory) -> Path:
    """Two classes of three photographs in train/ and in validation/."""
    folder, rng = tmp_path_factory.mktemp("data") / "imagenet", np.random.default_rng(0)
    for split, name, number in product(("train", "validation"), ("cat", "dog"), range(3)):
        (folder / split / name).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (80, 100, 3), np.uint8)
        Image.fromarray(pixels).save(folder / split / name / f"{number}.jpg")
    return folder


@pytest.mark.parametrize(
    "experiment", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in ON_FILES]
)
def test_every_recipe_for_class_folders_takes_a_step(tmp_path, imagenet, experiment):
    run = tmp_path / "run"
    overrides = [
        f"dataset.root={imagenet}",
        *ON_FILES[experiment],
        "trainer.batch_size=2",
        "trainer.steps=1",
        "trainer.steps_per_epoch=1",
        "trainer.progress=none",
    ]
    assert cli.main(["train", f"experiment={experiment}", *overrides, f"hydra.run.dir={run}"]) == 0
    assert OmegaConf.load(run / "run.json").status == "completed"


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [*EXPERIMENTS, *ON_FILES])
def test_every_operation_of_a_recipes_step_has_a_gpu_kernel_and_one_in_xla(tmp_path, imagenet, experiment):
    if not knows_gpus():
        pytest.skip("this TensorFlow has no kernels for GPUs")
    disable_op_determinism()  # as on a GPU; a training on the processor in this process may have asked for it
    small = {**{name: [size] for name, size in SMALLER.items()}, **ON_FILES}.get(experiment, [])
    given = [override for override in small if not override.startswith("model.weights")]
    if experiment in ON_FILES:
        given.append(f"dataset.root={imagenet}")
    seen = []
    launch(
        "train",
        [f"experiment={experiment}", *given, "trainer.batch_size=32", f"hydra.run.dir={tmp_path}"],
        lambda config, _: seen.append(config),
    )
    shape, classes = tuple(seen[0].dataset.image_shape), seen[0].dataset.num_classes or 2
    assert measure_placement(seen[0], shape, classes) == []
    _, step, _ = build_traced(seen[0], shape, classes, jit=True)
    lowered = step.train_call.experimental_get_compiler_ir(step.data_loader.inputs(0, 1), tf.constant(0, tf.int64), 1)
    assert "HloModule" in lowered(stage="hlo")


def test_every_recipe_is_trained_or_like_one_that_is():
    assert {*SHIPPED} - SWEEPS.keys() == {*EXPERIMENTS, *ON_FILES, *LIKE}
    assert {*LIKE.values()} <= {*EXPERIMENTS}


@pytest.mark.parametrize(("experiment", "jobs"), SWEEPS.items())
def test_every_job_of_a_sweep_is_a_training_that_could_begin(tmp_path, monkeypatch, capsys, experiment, jobs):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", f"experiment={experiment}", "seed=0", "sweep.dry_run=true"]) == 0
    assert f"{jobs} of {jobs} jobs would be trained" in capsys.readouterr().out
