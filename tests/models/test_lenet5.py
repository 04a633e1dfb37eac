"""LeNet-5 as it was published and as it is built today."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnnlab.errors import UserError
from cnnlab.models.lenet5 import digit_codes, lenet5, lenet5_1998

SHAPE = (28, 28, 1)
TABLE = """
X...XXX..XXXX.XX
XX...XXX..XXXX.X
XXX...XXX..X.XXX
.XXX..XXXX..X.XX
..XXX..XXXX.XX.X
...XXX..XXXX.XXX
"""


@pytest.fixture(scope="module")
def published() -> keras.Model:
    return lenet5_1998(SHAPE, 10)


def between(network: keras.Model, first: str, last: str) -> keras.Model:
    """What lies between the outputs of two layers."""
    return keras.Model(network.get_layer(first).output, network.get_layer(last).output)


def params(network: keras.Model, *prefixes: str) -> int:
    return sum(layer.count_params() for layer in network.layers if layer.name.startswith(prefixes))


def test_layers_have_as_many_parameters_as_the_paper_counts(published):
    counts = [params(published, name) for name in ("conv1", "pool1", "conv2", "pool2", "conv3", "dense1", "logits")]
    assert counts == [156, 12, 1516, 32, 48120, 10164, 0]


@pytest.mark.parametrize("build", [lenet5, lenet5_1998])
def test_maps_have_the_published_sizes(build):
    network = build(SHAPE, 10)
    shapes = [network.get_layer(name).output.shape[1:] for name in ("conv1", "pool1", "conv2", "pool2", "conv3")]
    assert shapes == [(28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (1, 1, 120)]


def test_each_map_of_the_second_convolution_reads_what_table_i_says(published, rng):
    conv2 = between(published, "pool1_act", "conv2")
    maps = rng.random((1, 14, 14, 6), np.float32)
    rows = []
    for channel in range(6):
        changed = maps.copy()
        changed[..., channel] += 1
        difference = np.abs(np.asarray(conv2(changed)) - np.asarray(conv2(maps))).max(axis=(0, 1, 2))
        rows.append("".join("X" if value else "." for value in difference))
    assert rows == TABLE.split()


def test_a_pooling_is_a_trained_line_through_the_average(published, rng):
    maps = rng.random((2, 28, 28, 6), np.float32)
    average = maps.reshape(2, 14, 2, 14, 2, 6).mean(axis=(2, 4))
    pool = between(published, "conv1_act", "pool1_trained")
    np.testing.assert_allclose(pool(maps), average, rtol=1e-5)  # how it starts
    coefficients, biases = np.arange(6, dtype=np.float32), np.arange(6, 0, -1, dtype=np.float32)
    layer = published.get_layer("pool1_trained")
    start = layer.get_weights()
    layer.set_weights([coefficients, biases])
    np.testing.assert_allclose(pool(maps), average * coefficients + biases, rtol=1e-5)
    layer.set_weights(start)


def test_small_images_are_centred_and_brought_to_the_published_range(published, rng):
    x = rng.random((1, *SHAPE), np.float32)
    canvas = np.full((1, 32, 32, 1), -0.1)
    canvas[:, 2:30, 2:30] = x * 1.275 - 0.1
    np.testing.assert_allclose(between(published, "images", "contrast")(x), canvas, atol=1e-6)


@pytest.mark.parametrize("shape", [(31, 20, 3), (32, 32, 3), (44, 36, 1)])
@pytest.mark.parametrize("build", [lenet5, lenet5_1998])
def test_images_of_other_sizes_are_taken(build, shape, rng):
    assert build(shape, 4)(rng.random((2, *shape), np.float32)).shape == (2, 4)


def test_probabilities_are_the_softmax_of_negative_squared_distances(published, rng):
    x = rng.random((3, *SHAPE), np.float32)
    units = np.asarray(between(published, "images", "dense1_act")(x), np.float64)
    distances = ((units[:, np.newaxis] - np.array(digit_codes())) ** 2).sum(axis=-1)
    logits = np.asarray(published(x))
    np.testing.assert_allclose(logits, -distances, rtol=1e-5)
    expected = np.exp(-distances) / np.exp(-distances).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(tf.nn.softmax(logits), expected, rtol=1e-3)


def test_a_unit_vector_that_draws_a_digit_is_that_digit(published):
    codes = np.array(digit_codes(), np.float32)
    logits = np.asarray(between(published, "dense1_act", "logits")(codes))
    np.testing.assert_array_equal(np.diag(logits), 0)
    np.testing.assert_array_equal(logits.argmax(axis=1), range(10))


def test_codes_are_bitmaps_far_from_each_other():
    codes = np.array(digit_codes())
    assert codes.shape == (10, 84)
    assert set(np.unique(codes)) == {-1, 1}
    distances = (codes[:, np.newaxis] != codes).sum(axis=-1) + 84 * np.eye(10, dtype=int)
    assert distances.min() >= 8


def test_fewer_classes_take_the_first_digits():
    assert lenet5_1998(SHAPE, 3).get_layer("logits").points == digit_codes()[:3]


@pytest.mark.parametrize("num_classes", [1, 11])
def test_classes_without_a_bitmap_are_refused(num_classes):
    with pytest.raises(UserError, match=f"num_classes={num_classes}: .* use model=lenet5, or .* model.head=softmax"):
        lenet5_1998(SHAPE, num_classes)


def test_the_squashing_function_follows_every_layer_but_the_last(published):
    activations = [layer for layer in published.layers if isinstance(layer, keras.layers.Activation)]
    assert {layer.activation.__name__ for layer in activations} == {"scaled_tanh"}
    assert [layer.name.removesuffix("_act") for layer in activations] == [
        *["conv1", "pool1", "conv2", "pool2", "conv3", "dense1"]
    ]


def test_l2_penalises_kernels_but_not_the_poolings_lines():
    network = lenet5_1998(SHAPE, 10, l2=0.01)
    kernels = [layer.kernel for layer in network.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)]
    expected = 0.01 * sum(float(np.sum(np.square(kernel))) for kernel in kernels)
    assert float(sum(network.losses)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_saved_network_gives_the_same_float32_logits(tmp_path, rng, policy):
    keras.config.set_dtype_policy(policy)
    network = lenet5_1998(SHAPE, 10)
    network.save(tmp_path / "network.keras")
    x = rng.random((2, *SHAPE), np.float32)
    logits = network(x)
    assert logits.dtype == "float32"
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "network.keras")(x), logits)


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_todays_form_pools_either_way(pooling):
    kind = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}[pooling]
    network = lenet5(SHAPE, 10, pooling=pooling)
    assert {type(network.get_layer(name)) for name in ("pool1", "pool2")} == {kind}
