"""The YAML files that come with cnnlab."""

from importlib.resources import files
from itertools import zip_longest
from typing import get_type_hints

import pytest
from omegaconf import DictConfig, OmegaConf

from cnnlab.config.schema import (
    COMMANDS,
    GROUPS,
    METHODS,
    SEVERAL,
    Compare,
    Doctor,
    Eval,
    Export,
    Inspect,
    Predict,
    Seeds,
    Train,
    Visualize,
)
from cnnlab.config.signatures import find_signature

CONF = files("cnnlab.conf")
OPTIONS = {
    group: sorted(file.name.removesuffix(".yaml") for file in (CONF / group).iterdir() if file.name.endswith(".yaml"))
    for group in (*GROUPS, *METHODS, "experiment")
}
OWN_DATA = ("image_folder", "arrays", "table", "tfds")
NEEDED = {
    **dict.fromkeys(OWN_DATA[:3], "dataset.root=."),
    "tfds": "dataset.name=imagenet2012",
    "random_crop": "dataset.resize_size=600",
    "hub": "model.preset=resnet_18_imagenet model.weights=null",
}
"""What an option does not do without."""
ALONE = (*METHODS, "logger", "experiment")
"""Groups that `train` does not have, or whose options need a package, or choose options of other groups."""

TOGETHER = [
    {group: option for group, option in zip(OPTIONS, row, strict=True) if option and group not in ALONE}
    for row in zip_longest(*(OPTIONS[group] if group not in ALONE else () for group in OPTIONS))
]
"""Each option of each group that is left, as many in one configuration as there are groups."""


@pytest.mark.parametrize("options", TOGETHER, ids=lambda options: " ".join(map("=".join, options.items())))
def test_every_option_composes_and_is_valid(compose, options, monkeypatch):
    monkeypatch.setattr("cnnlab.config.extras.is_installed", lambda package: True)
    needed = [word for option in options.values() for word in NEEDED.get(option, "").split()]
    config, _ = compose("train", *map("=".join, options.items()), *needed)
    for group, option in options.items():
        assert_chosen(config, group, option)


@pytest.mark.parametrize(("group", "option"), [(group, option) for group in ALONE for option in OPTIONS[group]])
def test_every_method_logger_and_recipe_composes_and_is_valid(compose, group, option):
    command = "train" if group == "experiment" else "visualize"  # which needs no logger's package
    method = ["method=dataset"] if group == "logger" else []
    if option.startswith(("imagenet_", "photographs")):
        method.append("dataset.root=.")
    config, _ = compose(command, f"{group}={option}", *method, "hydra.mode=RUN")  # a sweep's file would run it
    assert_chosen(config, group, option)


def assert_chosen(config: DictConfig, group: str, option: str) -> None:
    if group in SEVERAL:
        assert list(config[group]) == ([] if option == "none" else [option])
    elif "name" in get_type_hints((GROUPS | METHODS).get(group, dict)) and option not in (*OWN_DATA, "keras"):
        assert config[group].name == option


@pytest.mark.parametrize("command", COMMANDS)
def test_the_schema_has_the_keys_of_the_yaml(command):
    own = {
        "train": set(get_type_hints(Train)) - {*GROUPS} | {*SEVERAL} | {"sweep"},
        "eval": {*get_type_hints(Eval)} - {*get_type_hints(Train)} | {"weights"},
        "predict": {*get_type_hints(Predict)} - {*get_type_hints(Train)},
        "export": {*get_type_hints(Export)} - {*get_type_hints(Train)},
        "inspect": {*get_type_hints(Inspect)} - {*get_type_hints(Train)},
        "visualize": {*get_type_hints(Visualize)} - {*get_type_hints(Train), *METHODS},
        "doctor": {*get_type_hints(Doctor)},
        "compare": {*get_type_hints(Compare)},
    }[command]
    written = OmegaConf.create((CONF / f"{command}.yaml").read_text())
    assert set(written) - {"defaults", "hydra"} == own


def test_the_schema_has_the_keys_of_the_trainer_and_the_seeds():
    trainer = OmegaConf.create((CONF / "trainer" / "default.yaml").read_text())
    assert set(trainer) == {"_target_", *find_signature(trainer._target_).hints}
    train = OmegaConf.create((CONF / "train.yaml").read_text())
    assert set(train.seeds) == set(get_type_hints(Seeds))


@pytest.mark.parametrize(("group", "option"), [(group, option) for group in OPTIONS for option in OPTIONS[group]])
def test_every_option_is_explained(group, option):
    lines = (CONF / group / f"{option}.yaml").read_text().splitlines()
    assert lines[0].startswith("#")
    keys = [line for line in lines if ":" in line and not line.lstrip().startswith(("#", "- ", "_target_", "name:"))]
    for line in keys:
        is_heading = line.rstrip().endswith(":")
        assert is_heading or " # " in line, line
