"""`cnnlab visualize method=activation_max` and `class_max`, on trained networks and on others."""

import csv
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from omegaconf import OmegaConf

from cnnlab import cli
from cnnlab.runs.run import Run
from cnnlab.visualize.attribution.scores import class_probabilities
from cnnlab.visualize.feature_visualization.ascent import Ascent, ascend, starting_noise
from cnnlab.visualize.methods.activation_max import dead_filters, filter_score, maps_statistics
from cnnlab.visualize.methods.class_max import maximise_classes
from cnnlab.visualize.subject import load_subject

QUICK = ("method.ascent.iterations=20", "method.compare_with=100")


@pytest.fixture(scope="module")
def mnist_run(train, cnnlab_data, tmp_path_factory):
    """A network that knows MNIST."""
    size = ("input_shape=[28,28,1]", "model.padding=valid")
    data = ("dataset=mnist", f"dataset.root={cnnlab_data}", "augmentation=none")
    trained = train(*data, *size, "trainer.steps=1500")
    return shutil.copytree(trained, tmp_path_factory.mktemp("mnist") / "run")


@pytest.fixture(scope="module")
def network(small_run) -> keras.Model:
    config = OmegaConf.merge(Run.open(small_run).config, {"run": str(small_run)})
    return load_subject(config).network


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_every_filters_pattern_excites_it_more_than_the_dataset_does(mnist_run):
    assert cli.main(["visualize", f"run={mnist_run}", "method=activation_max"]) == 0
    rows = rows_of(mnist_run / "visualize" / "activation_max" / "filters.csv")
    assert len(rows) == 24 + 48 + 64
    alive = [row for row in rows if row["dead"] == "False"]
    assert len(alive) > 110
    assert [row for row in alive if float(row["activation"]) <= float(row["dataset"])] == []


@pytest.mark.slow
def test_every_digits_pattern_is_taken_for_it(mnist_run):
    assert cli.main(["visualize", f"run={mnist_run}", "method=class_max"]) == 0
    with np.load(mnist_run / "visualize" / "class_max" / "class_max.npz") as arrays:
        assert arrays["patterns"].shape == (10, 28, 28, 1)
        assert (np.diagonal(arrays["probabilities"]) > 0.99).all()


def test_chosen_filters_have_the_patterns_they_have_among_all(run):
    for name, filters in (("some", "[[3,0],[8]]"), ("more", "[[0,1,2,3],[8,9]]")):
        chosen = [f"method.name={name}", "method.layers=[conv2,dense1]", f"method.filters={filters}"]
        assert cli.main(["visualize", f"run={run}", "method=activation_max", *QUICK, *chosen]) == 0
    with (
        np.load(run / "visualize" / "some" / "activation_max.npz") as some,
        np.load(run / "visualize" / "more" / "activation_max.npz") as more,
    ):
        np.testing.assert_allclose(some["conv2"], more["conv2"][[3, 0]], atol=3)
        np.testing.assert_allclose(some["dense1"], more["dense1"][:1], atol=3)


def test_without_the_dataset_there_are_patterns_but_no_comparison(run, tmp_path, caplog):
    gone = [f"hydra.run.dir={tmp_path / 'drawn'}", "dataset=mnist", f"dataset.root={tmp_path}"]
    chosen = [f"weights={run / 'model.keras'}", "method=activation_max", "method.layers=[conv1]", *QUICK]
    assert cli.main(["visualize", *chosen, *gone]) == 0
    assert "not compared" in caplog.text
    rows = rows_of(next((tmp_path / "drawn").rglob("filters.csv")))
    assert len(rows) == 24
    assert {(row["dataset"], row["dead"]) for row in rows} == {("", "")}


def test_a_score_is_the_mean_activation_of_the_chosen_filter(network):
    pixels = tf.random.stateless_uniform((4, 8, 8, 1), [0, 0], 0, 255)
    filters = tf.constant([3, 0, 5, 5])
    means, _, _ = maps_statistics(network, "conv2", pixels.numpy())
    scores = filter_score(network, "conv2")(pixels, filters)
    np.testing.assert_allclose(scores, means[range(4), filters], rtol=1e-4, atol=1e-6)


def test_a_leaky_score_revives_a_dead_filter():
    inputs = keras.Input((6, 6, 1))
    conv = layers.Conv2D(1, 3, activation="relu", name="conv", kernel_initializer="ones", bias_initializer="zeros")
    network = keras.Model(inputs, layers.Flatten()(conv(inputs)))
    conv.bias.assign([-1500.0])  # dead below a mean of 167
    noise = starting_noise(0, "conv", [0], (6, 6, 1))
    for leaky in (False, True):
        ascent = Ascent(iterations=50, starts=[0.0], contrast=0.1, jitter=0)
        score = filter_score(network, "conv", leaky=leaky)
        pattern = ascend(score, [0], noise, ascent, seed=0, chunk=1, what="test")
        assert (maps_statistics(network, "conv", pattern)[0][0, 0] > 0) == leaky


def test_only_behind_a_relu_are_filters_dead_that_hardly_fire():
    usual, highest = np.array([2.0, 1e-5, -0.5, -0.5]), np.array([[9.0, 1.0, 0.0, -0.5]] * 3)
    of_relu, of_tanh = np.array([[0.0, 0.0, 0.0, -0.5]] * 3), np.array([[-1.0, -1.0, -1.0, -0.5]] * 3)
    assert dead_filters(np.maximum(usual, 0), of_relu, highest).tolist() == [False, True, True, True]
    assert dead_filters(usual, of_tanh, highest).tolist() == [False, False, False, True]


def test_a_filter_with_negative_activations_is_not_dead():
    """A GELU's mean may be negative although some places are excited: it counts, less the leak."""
    inputs = keras.Input((2, 1, 1))
    network = keras.Model(
        inputs, layers.Conv2D(1, 1, activation="gelu", name="conv", kernel_initializer="ones")(inputs)
    )
    images = tf.reshape(tf.constant([[0.1, -0.7], [-0.5, -0.7]]), (2, 2, 1, 1))
    filters = tf.zeros(2, tf.int32)
    means = filter_score(network, "conv")(images, filters).numpy()
    leaky = filter_score(network, "conv", leaky=True)(images, filters).numpy()
    assert means[0] < 0
    np.testing.assert_allclose(leaky[0], means[0] - 0.01 * 0.35, rtol=1e-5)
    assert -0.7 < leaky[1] < -0.5


def test_the_first_of_two_classes_of_a_sigmoid_head_wants_its_logit_low():
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(1)])
    patterns = maximise_classes(network, [0, 1], Ascent(iterations=150, jitter=0), seed=0)
    probabilities = class_probabilities(network(patterns)).numpy()
    assert (np.diagonal(probabilities) > 0.9).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["method=activation_max", "method.layers=[conv4]"], "method.layers=conv4: no such layer; did you mean conv"),
        (["method=activation_max", "method.filters=[[99],[0],[0]]"], "method.filters=99: conv1 has 24 channels"),
        (["method=activation_max", "method.filters=[[0],[],[0]]"], "method.filters=[]: give at least one of the 48"),
        (["method=activation_max", "method.ascent.starts=[]"], "method.ascent.starts=[]: must be one brightness"),
        (["method=activation_max", "method.ascent.iteration=3"], "method.ascent.iteration"),
        (["method=class_max", "method.classes=[eleven]"], "method.classes=eleven: no such class"),
        (["method=class_max", "method.ascent.parametrization=wavelet"], "must be one of fourier, pixels"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(run, capsys, given, message):
    assert cli.main(["visualize", f"run={run}", *given]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


def test_a_step_of_plain_gradient_ascent_is_that_of_tf_keras_vis():
    """Of the same images, by the gradients themselves: no penalties, no jitter, no normalisation."""
    tkv = pytest.importorskip("tf_keras_vis.activation_maximization")
    keras.utils.set_random_seed(0)
    inputs = keras.Input((9, 9, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(layers.Rescaling(1 / 255)(inputs))
    network = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    start = tf.random.stateless_uniform((4, 9, 9, 3), [0, 0], 0, 255)
    theirs = tkv.ActivationMaximization(keras.Model(inputs, x), clone=False)(
        lambda outputs: [tf.reduce_mean(outputs[number, ..., number]) for number in range(4)],
        seed_input=start,
        input_range=None,
        input_modifiers=[],
        regularizers=[],
        steps=1,
        optimizer=keras.optimizers.SGD(1e5),
    )
    with tf.GradientTape() as tape:
        tape.watch(start)
        scores = filter_score(network, "conv")(start, tf.range(4))
    np.testing.assert_allclose(start + 1e5 * tape.gradient(scores, start), theirs, rtol=1e-4, atol=1e-2)
