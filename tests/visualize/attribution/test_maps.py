"""What holds for every attribution method, whatever the network; and the methods one by one."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from cnnlab import cli
from cnnlab.errors import UserError
from cnnlab.models.airbench import airbench
from cnnlab.models.blocks import Blocks
from cnnlab.models.googlenet import inception
from cnnlab.models.layers import LocalResponseNormalization
from cnnlab.models.mnist_cnn import mnist_cnn
from cnnlab.models.resnet import residual_unit
from cnnlab.models.whitening import PatchWhitening
from cnnlab.runs.run import Run
from cnnlab.visualize.attribution.gradients import (
    class_gradients,
    grad_cam,
    integrated_gradients,
    score_differences,
    smoothgrad,
)
from cnnlab.visualize.attribution.guided import guided_backprop, require_relu
from cnnlab.visualize.attribution.maps import choose_targets, in_batches, strongest
from cnnlab.visualize.layers import spatial_layer
from cnnlab.visualize.methods.activation_max import maps_statistics
from cnnlab.visualize.methods.feature_maps import feature_maps
from cnnlab.visualize.subject import load_subject

METHODS = {
    "saliency": class_gradients,
    "smoothgrad": partial(smoothgrad, samples=3),
    "integrated_gradients": lambda *inputs: integrated_gradients(*inputs, baseline=tf.zeros(()), steps=3),
    "guided_backprop": guided_backprop,
    "grad_cam": grad_cam,
}
NETWORKS = {
    "one channel, sigmoid head": lambda: mnist_cnn((24, 24, 1), 1),
    "strides": lambda: small_network(lambda blocks, x: blocks.conv(x, "strided", 6, 3, strides=2)),
    "residual unit": lambda: small_network(lambda blocks, x: residual_unit(blocks, x, "unit", [(6, 3, 2), (6, 3, 1)])),
    "inception module": lambda: small_network(lambda blocks, x: inception(blocks, x, "module", 2, (2, 3), (1, 2), 2)),
    "LRN and groups": lambda: small_network(
        lambda blocks, x: blocks.conv(LocalResponseNormalization()(x), "grouped", 4, 3, groups=2)
    ),
    "other activation": lambda: airbench((32, 32, 3), 3),
}
EACH = [
    *[("one channel, sigmoid head", method) for method in METHODS],
    *[(name, method) for name in NETWORKS for method in ("guided_backprop", "grad_cam") if "head" not in name],
]
"""Every method on one network; those that go through the graph operation by operation on all of them."""


def small_network(block):
    """A convolution, what is made by `block(blocks, x)`, and a head."""
    images = keras.Input((12, 12, 3))
    blocks = Blocks()
    x = block(blocks, blocks.conv(images, "conv1", 4, 3))
    return keras.Model(images, blocks.logits(keras.layers.GlobalAveragePooling2D()(x), 3))


@pytest.fixture(scope="module")
def network(request):
    """From pixels to logits; the network is nested in it."""
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)
    inner = NETWORKS[request.param]()
    for layer in inner.layers:
        if isinstance(layer, PatchWhitening):
            layer.adapt([photographs(inner.input_shape[1:]) / np.float32(64) - 2])
    pixels = keras.Input(inner.input_shape[1:])
    return keras.Model(pixels, inner(keras.layers.Rescaling(1 / 64, offset=-2)(pixels)))


def photographs(shape, count=3):
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


@pytest.mark.parametrize(("network", "method"), EACH, indirect=["network"])
def test_methods_look_into_networks_of_every_kind(network, method):
    compute = partial(METHODS[method], network)
    if method == "guided_backprop" and network.layers[-1].name == "airbench":
        with pytest.raises(UserError, match="no ReLU to guide through, only gelu"):
            require_relu(network)
        return
    shape = network.input_shape[1:]
    images, classes = photographs(shape), np.array([0, 1, 1], np.int32)
    if method == "grad_cam":
        compute = partial(compute, layer=spatial_layer(network, None))
    found = in_batches(compute, shape, 1)(images, classes)
    assert np.isfinite(found).all()
    if method == "grad_cam":
        assert found.ndim == 3
        assert (found >= 0).all()
        assert len(found) == 3
    else:
        assert found.shape == images.shape
        assert (strongest(found).max(axis=(1, 2)) > 0).all()


def test_the_two_classes_of_a_sigmoid_head_have_opposite_gradients():
    keras.utils.set_random_seed(0)
    net = mnist_cnn((18, 18, 1), 1)
    images = tf.constant(photographs((18, 18, 1)), tf.float32)
    first, second = (class_gradients(net, images, tf.fill([3], label)) for label in (0, 1))
    np.testing.assert_array_equal(first, -second)
    assert np.abs(first).max() > 0


def test_maps_do_not_depend_on_how_many_images_share_a_batch():
    keras.utils.set_random_seed(0)
    net = mnist_cnn((18, 18, 1), 3)
    images, classes = photographs((18, 18, 1), 150), np.arange(150, dtype=np.int32) % 3
    whole = in_batches(partial(class_gradients, net), (18, 18, 1), 1)(images, classes)
    alone = in_batches(partial(class_gradients, net), (18, 18, 1), 1)(images[140:141], classes[140:141])
    np.testing.assert_allclose(whole[140:141], alone, rtol=1e-4, atol=1e-7)


class Noting(keras.layers.Layer):
    """Passes images on, and notes how many come together."""

    def __init__(self, counts):
        super().__init__()
        self.note = lambda images: counts.append(len(images)) or images

    def call(self, images):
        return tf.ensure_shape(tf.numpy_function(self.note, [images], tf.float32), images.shape)


@pytest.mark.parametrize(
    "look",
    [
        lambda network, images: feature_maps(network, ["conv"], images)["conv"],
        lambda network, images: maps_statistics(network, "conv", images)[0],
    ],
    ids=["feature_maps", "activation_max"],
)
def test_a_bounded_number_of_images_passes_through_the_network_together(look, monkeypatch):
    monkeypatch.setattr("cnnlab.visualize.attribution.gradients.MOST_ROWS", 2)
    counts = []
    pixels = keras.Input((6, 6, 1))
    maps = keras.layers.Conv2D(3, 3, name="conv")(Noting(counts)(pixels))
    network = keras.Model(pixels, keras.layers.Dense(2)(keras.layers.Flatten()(maps)))
    assert len(look(network, photographs((6, 6, 1), 5))) == 5
    assert counts == [2, 2, 1]


def test_integrated_gradients_add_up_to_the_score_difference():
    keras.utils.set_random_seed(0)
    net = mnist_cnn((18, 18, 3), 4, activation="tanh")
    scaled = keras.Model(pixels := keras.Input((18, 18, 3)), net(keras.layers.Rescaling(1 / 255)(pixels)))
    images, classes = tf.constant(photographs((18, 18, 3)), tf.float32), tf.constant([0, 3, 1])
    baseline = np.full((18, 18, 3), 40, np.float32)
    parts = integrated_gradients(scaled, images, classes, baseline=baseline, steps=60)
    expected = score_differences(scaled, images, classes, baseline=baseline)
    assert np.abs(expected).min() > 1e-3
    np.testing.assert_allclose(tf.reduce_sum(parts, axis=(1, 2, 3)), expected, rtol=1e-2)


def test_integrated_gradients_of_a_linear_network_are_weights_times_change():
    net = keras.Sequential([keras.Input((3, 3, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    images = tf.constant(photographs((3, 3, 1)), tf.float32)
    parts = integrated_gradients(net, images, tf.constant([1, 1, 1]), baseline=np.float32(7), steps=2)
    expected = (images - 7) * net.get_weights()[0][:, 1].reshape(3, 3, 1)
    np.testing.assert_allclose(parts, expected, rtol=1e-4, atol=1e-3)


def test_smoothgrad_of_a_quadratic_network_is_the_gradient_without_noise():
    pixels = keras.Input((4, 4, 1))
    net = keras.Model(pixels, keras.layers.Dense(1)(keras.layers.Flatten()(pixels * pixels)))
    images, classes = tf.constant(photographs((4, 4, 1)), tf.float32), tf.constant([1, 1, 1])
    smooth = smoothgrad(net, images, classes, noise=0.2, samples=2000)
    plain = class_gradients(net, images, classes)
    standard_error = 2 * np.abs(net.get_weights()[0].reshape(4, 4, 1)) * 0.2 * 255 / np.sqrt(2000)
    assert (np.abs(smooth - plain) < 5 * standard_error).all()
    assert np.abs(smooth - plain).max() > 0


def test_the_noise_of_smoothgrad_is_repeatable_and_each_copys_own():
    keras.utils.set_random_seed(0)
    net = mnist_cnn((18, 18, 1), 3)
    images, classes = tf.constant(photographs((18, 18, 1)), tf.float32), tf.constant([0, 1, 2])
    first, again, other = (smoothgrad(net, images, classes, samples=4, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0
    same = tf.repeat(images[:1], 2, axis=0)
    twice = smoothgrad(net, same, tf.constant([0, 0]), samples=4)
    assert np.abs(twice[0] - twice[1]).max() > 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("method.target=twelve", "method.target=twelve: no such class"),
        ("method.layer=conv4", "method.layer=conv4: no such layer; did you mean conv3?"),
        (
            "method.layer=logits",
            "method.layer=logits: returns no feature maps but [10] per image; choose a layer before it",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(run, override, message, capsys):
    assert cli.main(["visualize", f"run={run}", "method=grad_cam", override]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: {message}")


def test_the_target_class_may_be_given_predicted_or_the_images_own(run):
    config = OmegaConf.merge(Run.open(run).config, {"run": str(run)})

    def chosen(target):
        return choose_targets(config, 5, "test", target, seed=0)

    assert set(chosen("3").classes) == {3}
    predicted, own = chosen(None), chosen("label")
    np.testing.assert_array_equal(predicted.classes, predicted.probabilities.argmax(axis=1))
    np.testing.assert_array_equal(own.classes, own.chosen.labels)


def test_the_maps_are_those_of_the_target_class(run):
    given = ["visualize", f"run={run}", "method=saliency", "method.images=2", "method.target=3"]
    assert cli.main(given) == 0
    subject = load_subject(OmegaConf.merge(Run.open(run).config, {"run": str(run)}))
    with np.load(run / "visualize" / "saliency" / "saliency.npz") as arrays:
        images = tf.constant(arrays["images"], tf.float32)
        expected, other = (
            strongest(class_gradients(subject.network, images, tf.constant([label, label])).numpy()) for label in (3, 4)
        )
        np.testing.assert_allclose(arrays["maps"], expected, rtol=1e-3, atol=1e-8)
        assert not np.allclose(expected, other, rtol=0.1, atol=1e-8)


def example():
    """A model, images and their classes, for two implementations to look into."""
    keras.utils.set_random_seed(0)
    return mnist_cnn((18, 18, 3), 4), photographs((18, 18, 3)).astype(np.float32), [0, 3, 1]


def test_saliency_is_that_of_tf_keras_vis():
    oracle = pytest.importorskip("tf_keras_vis.saliency")
    scores = pytest.importorskip("tf_keras_vis.utils.scores")
    model, images, classes = example()
    expected = oracle.Saliency(model, clone=False)(scores.CategoricalScore(classes), images, normalize_map=False)
    found = strongest(class_gradients(model, tf.constant(images), tf.constant(classes)).numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_smoothgrad_tends_to_that_of_tf_keras_vis():
    """The noise differs, so the means of many copies are compared."""
    oracle = pytest.importorskip("tf_keras_vis.saliency")
    scores = pytest.importorskip("tf_keras_vis.utils.scores")
    model, images, classes = example()  # seeds NumPy too, whose global generator the oracle draws from
    expected = oracle.Saliency(model, clone=False)(
        scores.CategoricalScore(classes),
        images,
        smooth_samples=60,
        smooth_noise=0.15,
        keepdims=True,
        gradient_modifier=None,
        normalize_map=False,
    )
    found = smoothgrad(model, tf.constant(images), tf.constant(classes), noise=0.15, samples=60).numpy()
    for ours, theirs in zip(found, np.asarray(expected), strict=True):
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.95
    np.testing.assert_allclose(np.abs(found).mean(), np.abs(expected).mean(), rtol=0.05)


def test_grad_cam_is_that_of_tf_keras_vis():
    oracle = pytest.importorskip("tf_keras_vis.gradcam")
    scores = pytest.importorskip("tf_keras_vis.utils.scores")
    model, images, classes = example()
    expected = oracle.Gradcam(model, clone=False)(
        scores.CategoricalScore(classes),
        images,
        penultimate_layer="conv2_act",
        seek_penultimate_conv_layer=False,
        expand_cam=False,
        normalize_cam=False,
    )
    found = grad_cam(model, tf.constant(images), tf.constant(classes), layer="conv2_act")
    assert np.abs(found).max() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)
