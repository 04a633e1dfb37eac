"""Sanity checks: maps of a network that has lost what it learnt."""

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from matplotlib.figure import Figure

from cnnlab import cli
from cnnlab.errors import UserError
from cnnlab.reporting.figure import COLORS
from cnnlab.visualize.methods.sanity import correlations, randomised


@pytest.fixture
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = layers.BatchNormalization(name="bn")(layers.Conv2D(4, 3, name="conv")(inputs))
    network = keras.Model(inputs, layers.Dense(3, name="logits")(layers.Flatten()(x)))
    network.get_layer("bn").moving_mean.assign([1.0, 2.0, 3.0, 4.0])
    return network


def test_layers_become_random_one_after_the_other_and_are_restored(network):
    chosen = [network.get_layer(name) for name in ("logits", "bn", "conv")]
    learnt = [layer.get_weights() for layer in chosen]
    names = []
    for count, name in enumerate(randomised({layer.name: layer for layer in chosen}, 1), 1):
        names.append(name)
        unchanged = [
            all(np.array_equal(now, before) for now, before in zip(layer.get_weights(), weights, strict=True))
            for layer, weights in zip(chosen, learnt, strict=True)
        ]
        assert unchanged == [False] * count + [True] * (3 - count)
    assert names == ["logits", "bn", "conv"]
    for layer, weights in zip(chosen, learnt, strict=True):
        for now, before in zip(layer.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(now, before)


class Block(layers.Layer):
    """A layer of layers that are built when it is called."""

    def __init__(self, filters=4, **options):
        super().__init__(**options)
        self.filters = filters
        self.conv = layers.Conv2D(filters, 3)

    def call(self, x):
        return self.conv(x)


class Silent(Block):
    """One that does not tell how many filters it was made with."""

    def get_config(self):
        return layers.Layer.get_config(self)


class Telling(Block):
    def get_config(self):
        return super().get_config() | {"filters": self.filters}


def test_a_layer_of_layers_becomes_random_or_is_refused_by_name():
    inputs = keras.Input((8, 8, 1))
    telling, silent = Telling(5, name="telling"), Silent(6, name="silent")
    keras.Model(inputs, silent(telling(inputs)))
    before = telling.conv.kernel.numpy()
    for name in randomised({"telling": telling}, 0):
        assert name == "telling"
        assert not np.array_equal(telling.conv.kernel, before)
    np.testing.assert_array_equal(telling.conv.kernel, before)
    with pytest.raises(UserError, match=r"^silent: cannot be made anew with random weights"):
        list(randomised({"silent": silent}, 0))


def test_weights_are_restored_when_the_iteration_is_given_up(network):
    before = network.get_layer("logits").get_weights()[0]
    cascade = randomised({name: network.get_layer(name) for name in ("logits", "conv")}, 0)
    next(cascade)
    cascade.close()
    np.testing.assert_array_equal(network.get_layer("logits").get_weights()[0], before)


def test_the_seed_repeats_the_random_weights(network):
    def kernel(seed: int) -> np.ndarray:
        conv = network.get_layer("conv")
        return next(conv.get_weights()[0] for _ in randomised({"conv": conv}, seed))

    np.testing.assert_array_equal(kernel(3), kernel(3))
    assert not np.array_equal(kernel(3), kernel(4))


def test_a_seed_that_a_layer_was_made_with_is_not_drawn_from_again():
    fixed = keras.initializers.GlorotUniform(seed=7)
    first, second = (layers.Conv2D(3, 3, kernel_initializer=fixed, name=name) for name in ("first", "second"))
    keras.Model(inputs := keras.Input((8, 8, 3)), second(first(inputs)))
    before = first.get_weights()[0]

    def kernels(seed: int) -> list[np.ndarray]:
        *_, found = ([each.get_weights()[0] for each in (first, second)] for _ in randomised(both, seed))
        return found

    both = {"first": first, "second": second}
    one, other = kernels(0)
    for another in (before, other, kernels(1)[0]):
        assert not np.array_equal(one, another)
    np.testing.assert_array_equal(one, kernels(0)[0])


def test_correlations_are_of_ranks_with_and_without_the_sign():
    maps = np.random.default_rng(0).normal(size=(3, 20, 20))
    np.testing.assert_allclose(correlations(maps, maps**3), (1, 1))
    np.testing.assert_allclose(correlations(maps, -maps), (1, -1))
    assert np.abs(correlations(maps, maps[::-1, ::-1])).max() < 0.1
    assert correlations(maps, np.zeros_like(maps)) == (0, 0)


def test_a_constant_map_correlates_with_nothing_also_where_rounding_gives_it_a_deviation():
    constant = np.full((2, 7, 7), 0.3, np.float32)
    assert constant[0].std() > 0
    maps = np.random.default_rng(0).normal(size=(2, 7, 7)).astype(np.float32)
    assert correlations(constant, maps) == correlations(maps, constant) == (0, 0)


def test_that_a_trained_network_has_a_constant_map_is_told(run, caplog):
    model = keras.models.load_model(run / "model.keras")
    conv1 = next(layer for layer in model._flatten_layers() if layer.name == "conv1")
    conv1.set_weights([np.zeros_like(weight) for weight in conv1.get_weights()])
    model.save(run / "model.keras")
    given = ["method.methods=[saliency,grad_cam]", "method.images=2", "method.seeds=1"]
    assert cli.main(["visualize", f"run={run}", "method=sanity", *given]) == 0
    told = "saliency: 2 of 2 maps of the trained network are the same everywhere: they can correlate with nothing, and "
    assert f"{told}count as 0" in caplog.messages


def test_a_run_is_checked_and_left_as_it_was(run, caplog, drawn):
    before = (run / "model.keras").read_bytes()
    given = ["method.methods=[saliency,grad_cam]", "method.images=3", "method.seeds=2", "method.threshold=0.0"]
    assert cli.main(["visualize", f"run={run}", "method=sanity", *given]) == 0
    folder = run / "visualize" / "sanity"
    table = pd.read_csv(folder / "sanity.csv").set_index("method")
    assert list(table.index) == ["saliency", "grad_cam"]
    assert table.flagged["saliency"]
    assert "saliency hardly changes" in caplog.text
    steps = pd.read_csv(folder / "correlations.csv")
    layer = steps.drop_duplicates("randomised").sort_values("randomised").layer
    assert list(layer) == ["logits", "dense1", "conv3", "conv2", "conv1"]
    assert len(steps) == 2 * 2 * 5
    assert (folder / "sanity.png").is_file()
    assert (run / "model.keras").read_bytes() == before
    _check_figure(drawn[0])


def _check_figure(figure: Figure) -> None:
    """Its legend covers no curve, and its curves differ in more than colours."""
    (legend,) = figure.legends
    for axes in figure.axes:
        assert axes.get_legend() is None
        assert not legend.get_window_extent().overlaps(axes.get_window_extent())
        first, second = (line for line in axes.lines if line.get_marker() != "None")
        assert first.get_marker() != second.get_marker()
        assert first.get_linestyle() != second.get_linestyle()
        assert {first.get_color(), second.get_color()} <= set(COLORS)
    assert "mean of 3 images, band over 2 seeds" in " ".join(figure.get_suptitle().split())
