"""Dead channels, and how the methods name them; the counts in titles."""

import shutil

import keras
import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from PIL import Image

from cnnlab import cli
from cnnlab.runs.run import Run
from cnnlab.visualize.feature_visualization.dead import constant, labels, note
from cnnlab.visualize.images import choose_images
from cnnlab.visualize.subject import load_subject

TRAINING, TEST = "1,149", "360"  # images of digits


@pytest.fixture(scope="module")
def weights(small_run, tmp_path_factory):
    """The small run's network, of whose conv1 filter 0 is always 0.5 and filter 1 always 0."""
    model = keras.models.load_model(shutil.copy(small_run / "model.keras", tmp_path_factory.mktemp("model")))
    conv1 = next(layer for layer in model._flatten_layers() if layer.name == "conv1")
    kernel, bias = conv1.get_weights()
    kernel[..., :2], bias[:2] = 0, (0.5, -0.5)
    conv1.set_weights([kernel, bias])
    path = tmp_path_factory.mktemp("dead") / "dead.keras"
    model.save(path)
    return path


def draw(weights, folder, method, *given):
    directory = f"hydra.run.dir={folder}"
    assert (
        cli.main(["visualize", f"weights={weights}", "input_shape=[8,8,1]", f"method={method}", directory, *given]) == 0
    )
    return folder / method


def title(picture):
    with Image.open(picture) as opened:
        return opened.text["Title"]


def test_activation_max_names_them_and_counts_the_images_there_are(weights, tmp_path):
    quick = ["method.layers=[conv1]", "method.ascent.iterations=2", "method.filters=4"]
    folder = draw(weights, tmp_path, "activation_max", *quick)  # which looks at 2000 images
    table = pd.read_csv(folder / "filters.csv")
    assert table.dead.tolist() == [True, True, False, False]
    said = title(folder / "conv1.png")
    assert "what excites 4 of 24 filters most" in said
    assert said.endswith(f"; 2 of them dead on {TRAINING} training images (†): 0, 1")


def test_feature_maps_names_them(weights, tmp_path, drawn):
    folder = draw(weights, tmp_path, "feature_maps", "method.layers=[conv1_act]", "method.channels=4")
    assert title(folder / "0-conv1_act.png").endswith("4 of 24 channels; 2 of them dead on this image (†): 0, 1")
    shown = {text.get_text() for axes in drawn[0].axes for text in axes.texts}
    assert {"0 †", "1 †", "2", "3"} <= shown


def test_deconvnet_names_them(weights, tmp_path, drawn, caplog):
    folder = draw(weights, tmp_path, "deconvnet", "method.layers=[conv1_act]", "method.filters=4", "method.top=2")
    titles = [axes.get_title() for axes in drawn[0].axes]
    assert titles[0] == "channel 0 · dead: constant 0.5"
    assert titles[2] == "channel 1 · dead: never fires"
    assert f"conv1_act: channels [0,1] are dead on these {TEST} images" in caplog.text
    assert f"4 of 24 channels · the strongest of {TEST} images" in title(folder / "conv1_act.png")


def test_what_is_left_out_is_in_the_title(weights, tmp_path):
    quick = ["method.classes=[3,8]", "method.ascent.iterations=2", "method.ascent.passes=1"]
    assert "for 2 of 10 classes" in title(draw(weights, tmp_path, "class_max", *quick) / "class_max.png")
    kernels = draw(weights, tmp_path, "kernels", "method.layers=[conv2]", "method.channels=5")
    assert title(kernels / "conv2.png").endswith("conv2: 24 of 48 kernels, 5 of 24 input channels")


def test_fewer_images_than_were_asked_for_are_told(small_run, caplog):
    subject = load_subject(OmegaConf.merge(Run.open(small_run).config, {"run": str(small_run)}))
    assert len(choose_images(subject, 400, "test", seed=0).images) == int(TEST)
    assert f"method.images=400: the split has only {TEST}, which are all taken" in caplog.text


def test_constant_is_what_float32_cannot_tell_from_it():
    lowest = np.float32([0, 0.1, 0.1, -3])
    highest = np.float32([0, np.nextafter(np.float32(0.1), np.float32(1)), 0.11, 3])
    assert constant(lowest, highest, values=9).tolist() == [True, True, False, False]
    assert not constant(lowest, highest, values=1).any(), "one value says nothing"


def test_dead_maps_have_a_dagger_and_a_note():
    assert labels([4, 7], [True, False]) == ["4 †", "7"]
    assert note([4, 7], [True, False], "this image") == "; 1 of them dead on this image (†): 4"
    assert note([4, 7], [False, False], "this image") == ""
    assert note(range(99), [True] * 99, "it").endswith(" 10, 11, …")
