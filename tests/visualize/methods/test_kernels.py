"""`cnnlab visualize method=kernels`: the weights themselves, by layer, filter and channel."""

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from cnnlab import cli
from cnnlab.errors import UserError
from cnnlab.evaluation.load_model import load_best
from cnnlab.models.network import take_apart
from cnnlab.runs.run import Run
from cnnlab.visualize.drawing.mosaic import mosaic
from cnnlab.visualize.methods.kernels import kernels_of


def weights_of(run, name):
    return take_apart(load_best(Run.open(run)))[1].get_layer(name).get_weights()[0]


def test_a_figure_and_the_weights_of_every_layer(run):
    assert cli.main(["visualize", f"run={run}", "method=kernels", "method.filters=4"]) == 0
    folder = run / "visualize" / "kernels"
    assert {path.stem for path in folder.glob("*.png")} == {"conv1", "conv2", "conv3"}
    with np.load(folder / "kernels.npz") as arrays:
        for name in ("conv1", "conv2", "conv3"):
            np.testing.assert_array_equal(arrays[name], weights_of(run, name)[..., :4])
    with Image.open(folder / "conv2.png") as picture:
        assert picture.text["Model"].endswith("model.keras")


def test_indices_choose_filters_layer_by_layer(run):
    chosen = ["method.layers=[conv3,conv1]", "method.filters=[[5,2],[0]]", "method.channels=[1,3]"]
    assert cli.main(["visualize", f"run={run}", "method=kernels", "method.scale=alone", *chosen]) == 0
    folder = run / "visualize" / "kernels"
    with np.load(folder / "kernels.npz") as arrays:
        np.testing.assert_array_equal(arrays["conv3"], weights_of(run, "conv3")[..., [5, 2]])
        np.testing.assert_array_equal(arrays["conv1"], weights_of(run, "conv1")[..., [0]])


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Conv2D(6, (3, 2)), (3, 2, 4, 6)),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), (3, 3, 1, 8)),
        (layers.SeparableConv2D(5, 3), (3, 3, 1, 4)),
        (layers.Conv2DTranspose(6, 3), (3, 3, 4, 6)),
    ],
)
def test_every_kind_of_convolution_has_kernels(layer, shape):
    keras.Sequential([keras.Input((8, 8, 4)), layer])
    assert kernels_of(layer).shape == shape


def test_the_inputs_of_a_grouped_convolution_are_numbered_within_its_group(tmp_path, drawn):
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, groups=2, name="grouped")(layers.Conv2D(4, 1, name="whole")(inputs))
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x))).save(tmp_path / "grouped.keras")
    given = [f"weights={tmp_path / 'grouped.keras'}", f"hydra.run.dir={tmp_path}", "input_shape=[6,6,3]"]
    assert cli.main(["visualize", *given, "method=kernels", "method.layers=[grouped,depthwise]"]) == 0
    assert [figure.axes[0].get_xlabel() for figure in drawn] == ["input channel of the filter's group"] * 2


def test_a_layer_without_kernels_is_refused():
    with pytest.raises(UserError, match=r"method.layers=flat: is no convolution, but Flatten"):
        kernels_of(layers.Flatten(name="flat"))


def test_a_mosaic_lays_tiles_out_by_rows():
    tiles = np.arange(3, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    whole = mosaic(tiles, columns=2)
    assert whole.shape == (5, 5)
    np.testing.assert_array_equal(whole[0], [0, 0, np.nan, 1, 1])
    np.testing.assert_array_equal(whole[4], [2, 2, np.nan, np.nan, np.nan])
