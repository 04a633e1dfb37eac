"""`cnnlab inspect`."""

import io
import json
import re
from collections.abc import Callable

import pytest
from rich.console import Console

from cnnlab.config.compose import launch
from cnnlab.errors import UserError
from cnnlab.models.inspect import inspect, measure, print_table
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
    assert printed["training_bytes"] > printed["inference_bytes"] > 0
    assert printed["layers"][1] == {
        "name": "conv1",
        "type": "Conv2D",
        "output_shape": [26, 26, 24],
        "params": 216,
        "macs": 146_016,
        "activation_bytes": 64 * 26 * 26 * 24 * 4,
    }
    assert not list(tmp_path.iterdir())


def test_memory_follows_the_precision(report):
    layers = json.loads(report("model=mnist_cnn", "trainer.precision=bfloat16", "format=json"))["layers"]
    assert {layer["name"]: layer["activation_bytes"] for layer in layers}["conv1"] == 64 * 26 * 26 * 24 * 2


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
    assert "activations of 64 images in float32" in out


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
