"""Choosing layers and channels, also of networks within networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cnnlab.errors import UserError
from cnnlab.models.receptive_field import receptive_fields
from cnnlab.visualize.layers import (
    MOST,
    activated,
    choose_channels,
    choose_filters,
    choose_layers,
    computing_layers,
    convolutions,
    layer_outputs,
    require_graph,
    some_convolutions,
    spatial_layer,
)
from cnnlab.visualize.methods.activation_max import filter_score, maps_statistics

PIXELS = tf.random.stateless_uniform((2, 8, 8, 3), [0, 0])


@pytest.fixture(scope="module")
def nested() -> keras.Model:
    """conv1, conv1_act, then a model that holds inner; then a dense layer."""
    inner = keras.Sequential([keras.Input((8, 8, 4)), layers.Conv2D(5, 3, name="inner")], name="backbone")
    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU(name="conv1_act")(layers.Conv2D(4, 3, padding="same", name="conv1")(inputs))
    return keras.Model(inputs, layers.Dense(2, name="logits")(layers.GlobalAveragePooling2D(name="mean")(inner(x))))


def chain(length: int) -> keras.Model:
    convs = [layers.Conv2D(1, 1, name=f"conv{number}") for number in range(length)]
    return keras.Sequential([keras.Input((4, 4, 1)), *convs])


def test_layers_are_those_that_compute_in_order(nested):
    assert list(computing_layers(nested)) == ["conv1", "conv1_act", "inner", "mean", "logits"]
    assert convolutions(nested) == ["conv1", "inner"]


def test_outputs_of_nested_layers_are_kept_beside_the_logits(nested):
    outputs, logits = layer_outputs(nested, ["inner", "conv1"])(PIXELS)
    np.testing.assert_allclose(logits, nested(PIXELS), rtol=1e-5)
    conv1 = computing_layers(nested)["conv1"](PIXELS)
    np.testing.assert_allclose(outputs["conv1"], conv1, rtol=1e-5)
    np.testing.assert_allclose(outputs["inner"], computing_layers(nested)["inner"](tf.nn.relu(conv1)), rtol=1e-4)


def test_activations_are_those_of_the_block_where_it_has_a_layer_of_its_own(nested):
    assert activated(nested, "conv1") == "conv1_act"
    assert activated(nested, "inner") == "inner"


@pytest.mark.parametrize(("length", "last"), [(1, "conv0"), (MOST, f"conv{MOST - 1}"), (40, "conv39")])
def test_of_many_convolutions_some_are_chosen_from_the_first_to_the_last(length, last):
    chosen = some_convolutions(chain(length))
    assert len(chosen) == len(set(chosen)) == min(length, MOST)
    assert (chosen[0], chosen[-1]) == ("conv0", last)


def tower(name: str, channels: int, filters: int) -> keras.Model:
    conv = layers.Conv2D(filters, 3, padding="same", bias_initializer="ones", name="conv1")
    return keras.Sequential([keras.Input((8, 8, channels)), conv, layers.ReLU(name="conv1_act")], name=name)


def repeated() -> keras.Model:
    """Two nested models, each with a conv1 and its activation, then a convolution that is used twice."""
    twice = layers.Conv2D(3, 3, padding="same", activation="relu", bias_initializer="ones", name="twice")
    inputs = keras.Input((8, 8, 3))
    x = twice(twice(tower("right", 4, 3)(tower("left", 3, 4)(inputs))))
    return keras.Model(inputs, layers.Dense(2, name="logits")(layers.GlobalAveragePooling2D(name="mean")(x)))


def test_layers_of_one_name_are_told_apart_by_their_models():
    network = repeated()
    names = ["left/conv1", "left/conv1_act", "right/conv1", "right/conv1_act", "twice", "mean", "logits"]
    assert list(computing_layers(network)) == list(receptive_fields(network)) == names
    assert sum(layer.count_params() for layer in computing_layers(network).values()) == network.count_params()
    assert activated(network, "left/conv1") == "left/conv1_act"
    outputs, _ = layer_outputs(network, names[:4])(PIXELS)
    assert [outputs[name].shape[-1] for name in names[:4]] == [4, 4, 3, 3]
    with pytest.raises(UserError, match=r"method.layers=conv1: no such layer; did you mean left/conv1"):
        choose_layers(network, ["conv1"])


@pytest.mark.parametrize("name", ["left/conv1", "right/conv1", "twice"])
def test_what_ascends_is_what_is_reported_of_a_layer(name):
    network = repeated()
    reported = maps_statistics(network, name, PIXELS.numpy())[0]
    np.testing.assert_allclose(filter_score(network, name)(PIXELS, tf.constant([2, 2])), reported[:, 2], rtol=1e-5)


def test_an_unknown_layer_is_refused_with_the_nearest_and_the_list(nested):
    with pytest.raises(UserError, match=r"method.layers=conv_1: no such layer; did you mean conv1\?.*inner, mean"):
        choose_layers(nested, ["conv_1"])


def test_of_many_layers_the_nearest_are_named_and_inspect_lists_the_rest():
    pixels = x = keras.Input((4, 4, 1))
    for number in range(30):
        x = layers.Activation("relu", name=f"{'conv' if number < 25 else 'pool'}{number}")(x)
    network = keras.Model(pixels, x)
    with pytest.raises(UserError) as refused:
        choose_layers(network, ["pool30"])
    near = "pool29, pool28, pool27, pool26 or pool25"
    expected = f"method.layers=pool30: no such layer; did you mean {near}?; cnnlab inspect lists all layers"
    assert str(refused.value) == expected
    with pytest.raises(UserError, match=r"its layers are conv0, .*, conv19 and 10 more$"):
        convolutions(network)


def test_a_network_without_convolutions_is_refused():
    with pytest.raises(UserError, match=r"no convolution to look at; its layers are flat"):
        convolutions(keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(name="flat")]))


class Subclassed(keras.Model):
    """Two convolutions of one name, of which the one that is made first is called last, and a dense layer."""

    def __init__(self):
        super().__init__(name="subclassed")
        self.second = layers.Conv2D(5, 3, name="conv")
        self.first = layers.Conv2D(4, 3, activation="relu", name="conv")
        self.dense = layers.Dense(2, name="dense")

    def call(self, images):
        return self.dense(tf.reduce_mean(self.second(self.first(images)), axis=[1, 2]))


@pytest.fixture(scope="module")
def subclassed() -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, Subclassed()(inputs))


def test_of_a_subclassed_model_the_feature_maps_that_are_made_last_are_found_and_kept(subclassed):
    assert spatial_layer(subclassed, None) == "conv"
    inside = subclassed.get_layer("subclassed")
    outputs, logits = layer_outputs(subclassed, ["conv", "conv#1"])(PIXELS)
    np.testing.assert_allclose(logits, subclassed(PIXELS), rtol=1e-5)
    np.testing.assert_allclose(outputs["conv#1"], inside.first(PIXELS), rtol=1e-5)
    np.testing.assert_allclose(outputs["conv"], inside.second(inside.first(PIXELS)), rtol=1e-4, atol=1e-6)
    assert "call" not in vars(inside.first)


class Block(layers.Layer):
    """A layer of the user's own that convolves inside, and where it pools, returns no feature maps."""

    def __init__(self, pools=False, **options):
        super().__init__(**options)
        self.conv = layers.Conv2D(5, 3, padding="same", name=f"{self.name}_conv")
        self.relu = layers.ReLU(name=f"{self.name}_relu")
        self.pools = pools

    def call(self, x):
        x = self.relu(self.conv(self.relu(x)))
        return tf.reduce_mean(x, axis=[1, 2]) if self.pools else x


def of_stem(make) -> keras.Model:
    """A convolution, what `make` does with its maps, and a head."""
    inputs = keras.Input((8, 8, 3))
    x = make(layers.Conv2D(4, 3, padding="same", activation="relu", name="stem")(inputs))
    x = layers.GlobalAveragePooling2D()(x) if len(x.shape) == 4 else x
    return keras.Model(inputs, layers.Dense(2)(x))


def squeeze_and_excite(x):
    x = layers.ReLU(name="act")(layers.Add()([x, layers.Conv2D(4, 3, padding="same")(x)]))
    scale = layers.Conv2D(4, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return layers.Dropout(0.1)(layers.Multiply(name="excited")([x, scale]))


@pytest.mark.parametrize(
    ("make", "last"),
    [
        (lambda x: layers.Concatenate(name="joined")([x, layers.Conv2D(4, 1)(x)]), "joined"),
        (squeeze_and_excite, "excited"),
        (lambda x: layers.Flatten()(layers.MaxPooling2D()(x)), "stem"),
        (lambda x: x + layers.Conv2D(4, 1)(x), "add"),
        (lambda x: Block(name="block2")(Block(name="block1")(x)), "block2"),
        (lambda x: Block(pools=True, name="block")(x), "block_relu"),
    ],
    ids=["branches", "squeeze and excitation", "pool and flatten", "operation", "own blocks", "own blocks that pool"],
)
def test_the_last_feature_maps_are_all_that_the_head_reads(make, last):
    network = of_stem(make)
    name = spatial_layer(network, None)
    assert name.startswith(last)  # Keras numbers the operations of a process
    assert len(layer_outputs(network, [name])(PIXELS)[0][name].shape) == 4


def test_convolutions_that_are_not_looked_at_are_told(caplog):
    assert some_convolutions(of_stem(Block(name="block"))) == ["stem"]
    assert caplog.messages == ["block: convolutions inside of layers of your own are not looked at"]


def test_the_gradient_towards_an_inner_layer_is_that_of_what_follows_it(subclassed):
    inside = subclassed.get_layer("subclassed")
    evaluate = layer_outputs(subclassed, ["conv"])
    with tf.GradientTape() as tape:
        tape.watch(pixels := tf.identity(PIXELS))
        kept, logits = evaluate(pixels)
        score = logits[:, 1]
    gradient = tape.gradient(score, kept["conv"])
    expected = np.broadcast_to(np.asarray(inside.dense.kernel)[:, 1] / 4**2, gradient.shape)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5)


def test_a_method_that_needs_the_graph_of_a_subclassed_model_is_refused_in_one_line(subclassed, nested):
    require_graph(nested)
    with pytest.raises(UserError, match=r"^subclassed: is a subclassed model .* saliency, smoothgrad,") as refused:
        convolutions(subclassed)
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match=r"^method\.layer=con: no such layer; did you mean conv\?; the layers are sub"):
        spatial_layer(subclassed, "con")


def test_filters_are_the_first_or_listed_by_layer():
    counts = {"conv1": 4, "conv2": 9}
    assert choose_filters(None, counts) == {"conv1": [0, 1, 2, 3], "conv2": list(range(9))}
    assert choose_filters(6, counts) == {"conv1": [0, 1, 2, 3], "conv2": [0, 1, 2, 3, 4, 5]}
    assert choose_filters([[3, 0], [8]], counts) == {"conv1": [3, 0], "conv2": [8]}


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ([[4], [0]], "method.filters=4: conv1 has 4 channels, numbered from 0 to 3"),
        ([[0], [-1]], "method.filters=-1: conv2 has 9"),
        ([[0]], r"method.filters=\[\[0\]\]: has 1 lists for 2 layers \(conv1, conv2\)"),
    ],
)
def test_filters_that_are_not_there_are_refused(filters, message):
    with pytest.raises(UserError, match=message):
        choose_filters(filters, {"conv1": 4, "conv2": 9})


def test_channels_are_the_first_or_listed():
    assert choose_channels(16, "conv1", 4, "method.channels") == [0, 1, 2, 3]
    assert choose_channels([2, 0], "conv1", 4, "method.channels") == [2, 0]
