"""`cnnlab inspect`."""

import csv
import io
import json
import math
import re
from collections.abc import Callable

import pytest
from rich.console import Console

from cnnlab.commands.inspect import inspect
from cnnlab.config.compose import launch
from cnnlab.errors import UserError
from cnnlab.models.inspection import measure, print_table
from cnnlab.models.mnist_cnn import mnist_cnn


@pytest.fixture
def report(tmp_path, monkeypatch, capsys) -> Callable[..., str]:
    """What `cnnlab inspect` prints, run in an empty directory; determinism would outlast the test."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> str:
        launch("inspect", ["trainer.deterministic=false", "trainer.batch_size=64", *arguments], task=inspect)
        return capsys.readouterr().out

    return call


def test_json_tells_totals_and_layers(report, tmp_path):
    printed = json.loads(report("model=mnist_cnn", "model.batch_norm=true", "trainer.precision=float32", "format=json"))
    hidden = 24 + 48 + 64 + 128  # each unit has scale, offset, moving mean and variance instead of a bias
    assert printed["total_params"] == 113_514 + 3 * hidden
    assert printed["trainable_params"] == 113_514 + hidden
    assert printed["macs"] == sum(layer["macs"] for layer in printed["layers"]) == 1_724_384
    assert printed["batch_size"] == 64
    assert printed["precision"] == "float32"
    assert printed["batch_training_bytes"] > printed["batch_inference_bytes"] > 0
    assert printed["layers"][1] == {
        "name": "conv1",
        "type": "Conv2D",
        "output_shape": [26, 26, 24],
        "params": 216,
        "macs": 146_016,
        "batch_activation_bytes": 64 * 26 * 26 * 24 * 4,
    }
    assert not list(tmp_path.iterdir())


def test_memory_follows_the_precision(report):
    layers = json.loads(report("model=mnist_cnn", "trainer.precision=bfloat16", "format=json"))["layers"]
    assert {layer["name"]: layer["batch_activation_bytes"] for layer in layers}["conv1"] == 64 * 26 * 26 * 24 * 2


@pytest.mark.parametrize(
    ("model", "params"), [("mnist_cnn", "113,514"), ("alexnet_small", "2,887,306"), ("all_cnn_c", "1,369,738")]
)
def test_every_model_is_described_without_its_data(report, model, params):
    dataset = "mnist" if model == "mnist_cnn" else "cifar10"
    assert f" {params} " in report(f"model={model}", f"dataset={dataset}", "dataset.root=/nowhere")


def test_the_table_has_a_line_per_layer_and_the_totals(report):
    out = report("model=mnist_cnn", "model.batch_norm=true", "trainer.precision=float32")
    assert re.search(r"conv1_bn +BatchNormalization +26x26x24 +96 +0 ", out)
    assert "1,724,384" in out
    assert re.search(r"MiB, *\n *batch *\n.* of 64 *\n", out)
    assert "activations of a batch of 64 (trainer.batch_size) in float32" in out


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_number_or_name_is_cut_on_any_width(width):
    stream = io.StringIO()
    print_table(measure(mnist_cnn((28, 28, 1), 10), 32, "float32"), Console(file=stream, width=width))
    out = stream.getvalue()
    assert "…" not in out
    assert max(len(line) for line in out.splitlines()) <= width
    for text in ("dense1_act", "26x26x24", "113,514", "1,724,384"):
        assert text in out


def test_a_shape_that_does_not_fit_is_the_users_mistake(report):
    with pytest.raises(UserError, match=r"input_shape=\[8,8,1\]: too small"):
        report("model=mnist_cnn", "input_shape=[8,8,1]")


TRAINING_DIGITS = 1149  # the whole training split
BRIEF = ("input_shape=[8,8,1]", "model.padding=same", "trainer.precision=float32", "format=json")


def starts(printed: str) -> list[dict]:
    return json.loads(printed).get("initializers", [])


def test_without_an_initializer_on_the_command_line_nothing_is_said_of_the_start(report):
    assert starts(report(*BRIEF)) == []
    assert starts(report("experiment=all_cnn_best", "dataset.root=/nowhere", "format=json")) == []
    assert "first loss" not in report("model=mnist_cnn")


def test_naming_an_initializer_tells_how_a_training_with_it_starts(report):
    (start,) = starts(report(*BRIEF, "initializer=lsuv", "trainer.batch_size=1000"))
    assert start["initializer"] == "lsuv"
    assert start["chance_loss"] == pytest.approx(math.log(10))
    assert [layer["name"] for layer in start["layers"]][:3] == ["conv1", "conv1_act", "conv2"]
    large = [layer for layer in start["layers"] if layer["type"] in ("Conv2D", "Dense") and layer["name"] != "logits"]
    for layer in large:
        assert layer["variance"] == pytest.approx(1, rel=0.2)  # other images than those LSUV looked at


def test_a_changed_option_names_its_initializer_too(report):
    (start,) = starts(report(*BRIEF, "initializer.bias=0.1"))
    assert start["initializer"] == "default"


def test_initializers_are_shown_side_by_side(report):
    out = report("input_shape=[8,8,1]", "model.padding=same", "initializer=gaussian", "initializers=[lsuv,he_uniform]")
    lines = [line.split()[:2] for line in out.splitlines()]
    first = lines.index(["conv1", "gaussian"])
    assert [line[0] for line in lines[first + 1 : first + 3]] == ["lsuv", "he_uniform"]
    assert re.search(
        r"first loss: gaussian 2\.30\d\d, lsuv \d\.\d{4}, he_uniform .*; of equal probabilities: 2\.3026", out
    )


def test_the_first_loss_is_that_of_the_first_step_of_a_training(report, train):
    whole = (f"trainer.batch_size={TRAINING_DIGITS}", "initializer=lsuv", "model.dropout=0.0", "seed=3")
    (start,) = starts(report(*BRIEF, *whole))
    run = train(*whole, "augmentation=none", "trainer.steps=1")
    (step,) = csv.DictReader((run / "steps.csv").read_text().splitlines())
    assert float(step["loss"]) == pytest.approx(start["loss"], rel=1e-4)


def test_an_unknown_initializer_is_the_users_mistake(report):
    with pytest.raises(UserError, match=r"initializers=\[lsvu\]: no initializer lsvu; did you mean lsuv\?"):
        report("initializers=[lsvu]")


def test_a_report_needs_the_data(report):
    with pytest.raises(UserError, match=r"/nowhere"):
        report("dataset=mnist", "dataset.root=/nowhere", "initializer=lsuv")


def test_pretrained_weights_are_not_to_be_overwritten_by_a_report(report):
    with pytest.raises(UserError, match=r"initializer=lsuv: would overwrite model\.weights=imagenet"):
        report("model=transfer", "model.weights=imagenet", "dataset=cats_vs_dogs", "initializers=[lsuv]")
