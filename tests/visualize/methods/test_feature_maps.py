"""`cnnlab visualize method=feature_maps`: what layers make of chosen images."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from cnnlab import cli
from cnnlab.evaluation.load_model import load_best
from cnnlab.models.network import take_apart
from cnnlab.runs.run import Run
from cnnlab.visualize.methods.feature_maps import standardised


def draw(run, name, *overrides):
    given = ["visualize", f"run={run}", "method=feature_maps", f"method.name={name}", *overrides]
    assert cli.main(given) == 0
    return run / "visualize" / name


def test_maps_are_what_the_networks_layers_return(run):
    folder = draw(run, "maps", "method.images=[4,0]", "method.channels=3")
    assert {path.name for path in folder.glob("*.png")} == {
        f"{image}-conv{layer}_act.png" for image in (0, 1) for layer in (1, 2, 3)
    }
    preprocessing, network = take_apart(load_best(Run.open(run)))
    with np.load(folder / "feature_maps.npz") as arrays:
        conv1 = network.get_layer("conv1")(preprocessing(arrays["images"]))
        np.testing.assert_allclose(arrays["conv1_act"], tf.nn.relu(conv1)[..., :3], rtol=1e-4, atol=1e-5)


def test_a_grey_image_is_drawn_as_dark_as_it_is(run, drawn, save_image):
    dark = save_image("dark.png", np.arange(64, dtype=np.uint8).reshape(8, 8, 1))
    draw(run, "grey", "method.layers=[conv1]", f"method.images={dark}")
    assert drawn[0].axes[0].images[0].get_clim() == (0, 255)


def test_an_image_may_be_a_file_of_any_size(run, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 20, 3), dtype=np.uint8)).save(
        tmp_path / "a, b=1.png"
    )
    folder = draw(run, "of_a_file", f"method.images={tmp_path}/a, b=1.png", "method.layers=[conv2]")
    with np.load(folder / "feature_maps.npz") as arrays:
        assert arrays["images"].shape == (1, 8, 8, 1)


def test_a_map_has_its_mean_at_128_and_its_deviation_at_64():
    maps = np.stack([np.array([[-1.0, 1.0]]), np.array([[5.0, 5.0]]), np.array([[0.0, 1000.0]])], axis=-1)
    np.testing.assert_array_equal(standardised(maps)[:, 0], [[64, 192], [128, 128], [64, 192]])


def test_the_rounding_of_a_constant_map_is_not_shown():
    noise = np.nextafter(np.float32(0.1), np.float32([1, 0]))
    np.testing.assert_array_equal(standardised(noise.reshape(1, 2, 1)), np.full((1, 1, 2), 128))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("method.layers=[conv9]", "method.layers=conv9: no such layer; did you mean conv"),
        ("method.layers=[dense1]", "method.layers=dense1: returns no feature maps"),
        ("method.channels=[64]", "method.channels=64: conv1_act has 24 channels, numbered from 0 to 23"),
        ("method.images=[9999]", "method.images=9999: the split has 360 images"),
        ("method.images=nowhere.png", "method.images=nowhere.png: no such file"),
        ("method.images=0", "method.images=0: must be at least 1"),
        ("method.split=training", "method.split=training: must be one of auto, test, validation, train"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(run, capsys, override, message):
    assert cli.main(["visualize", f"run={run}", "method=feature_maps", override]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: " + message)
