"""Bringing a model of the user's own to what cnnlab works with: functional, from images to logits."""

import keras
import numpy as np
import pytest
from keras import layers

from cnnlab.errors import UserError
from cnnlab.models.contract import conform

SHAPE = (6, 6, 2)
KEY = "model._target_=mynet.build"
IMAGES = np.random.default_rng(0).uniform(-3, 3, (5, *SHAPE)).astype("float32")


class Subclassed(keras.Model):
    """Computes in `call` what no graph of Keras's shows."""

    def __init__(self, units: int, activation: str | None):
        super().__init__(name="subclassed")
        self.pool = layers.GlobalAveragePooling2D()
        self.dense = layers.Dense(units, activation=activation)
        self.drop = layers.Dropout(0.5)

    def call(self, images, training=None):
        return self.dense(self.drop(self.pool(images), training=training))


def a_model(ending: str, activation: str, units: int) -> keras.Model:
    """A network whose last step is `activation`, in one of the ways people write that."""
    if ending == "subclassed":
        return Subclassed(units, activation)
    if ending == "sequential, not built":
        return keras.Sequential([layers.Flatten(), layers.Dense(units, activation=activation)])
    images = keras.Input(SHAPE)
    logits = layers.Dense(units)(layers.Flatten()(images))
    match ending:
        case "dense":
            outputs = layers.Dense(units, activation=activation)(layers.Flatten()(images))
        case "activation":
            outputs = layers.Activation(activation)(logits)
        case "softmax layer":
            outputs = layers.Softmax()(logits)
        case "operation":
            outputs = getattr(keras.ops, activation)(logits)
        case "reshaped":
            outputs = layers.Flatten()(layers.Reshape((1, units))(layers.Activation(activation)(logits)))
        case "nested":
            outputs = keras.Sequential([layers.Dense(units, activation=activation)])(layers.Flatten()(images))
        case "averaged":
            maps = layers.Conv2D(units, 3, activation=activation)(images)
            outputs = layers.GlobalAveragePooling2D()(maps)
    return keras.Model(images, outputs)


ENDINGS = ["dense", "activation", "operation", "reshaped", "nested", "averaged", "subclassed", "sequential, not built"]


@pytest.mark.parametrize(
    ("ending", "activation", "units"),
    [(ending, "softmax", 3) for ending in [*ENDINGS, "softmax layer"]] + [(ending, "sigmoid", 1) for ending in ENDINGS],
)
def test_a_softmax_or_sigmoid_at_the_end_gives_way_to_its_logits_and_that_is_told(caplog, ending, activation, units):
    model = a_model(ending, activation, units)
    probabilities = np.asarray(model(IMAGES))
    network = conform(model, SHAPE, units, KEY)
    again = getattr(keras.ops, activation)(network(IMAGES))
    np.testing.assert_allclose(again, probabilities, rtol=1e-4, atol=1e-6)
    assert np.asarray(network(IMAGES)).min() < 0
    (record,) = caplog.records
    assert record.message.startswith(f"{KEY}: ends in a {activation}, ")


def test_one_sigmoid_per_class_becomes_a_softmax_over_them_and_that_is_told(caplog):
    conform(a_model("dense", "sigmoid", 3), SHAPE, 3, KEY)
    assert "have a softmax, for 3 classes exclude each other" in caplog.text


def test_probabilities_that_the_network_goes_on_with_keep_their_layer():
    images = keras.Input(SHAPE)
    probabilities = layers.Dense(3, activation="softmax")(layers.Flatten()(images))
    model = keras.Model(images, [probabilities, layers.Dense(3)(probabilities)])
    before = [np.asarray(head) for head in model(IMAGES)]
    after = conform(model, SHAPE, 3, KEY)(IMAGES)
    np.testing.assert_allclose(keras.ops.softmax(after[0]), before[0], rtol=1e-4)
    np.testing.assert_allclose(after[1], before[1], rtol=1e-5)


def test_a_functional_model_of_logits_stays_what_it_is(caplog):
    images = keras.Input(SHAPE)
    model = keras.Model(images, layers.Dense(3)(layers.Flatten()(images)))
    assert conform(model, SHAPE, 3, KEY) is model
    assert not caplog.records


def test_a_subclassed_model_becomes_a_layer_of_a_functional_one():
    model = Subclassed(3, None)
    network = conform(model, SHAPE, 3, KEY)
    assert network.input_shape == (None, *SHAPE)
    assert len(network.trainable_variables) == 2
    np.testing.assert_array_equal(network(IMAGES), model(IMAGES))
    assert not np.array_equal(network(IMAGES, training=True), model(IMAGES))


def open_inside() -> keras.Model:
    """A frozen model of open sizes in one of fixed size, called for inference, as people put keras.applications in."""
    inner_images = keras.Input((None, None, 2), name="inner_images")
    conv = layers.Conv2D(2, 3, padding="same", name="twice")
    x = layers.BatchNormalization(name="norm")(conv(layers.Activation("relu")(conv(inner_images))))
    inner = keras.Model(inner_images, layers.Add()([x, inner_images]), name="inner")
    inner.trainable = False
    images = keras.Input(SHAPE)
    return keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling2D()(inner(images, training=False))))


def test_sizes_that_a_model_leaves_open_inside_are_settled_with_its_weights_kept():
    model = open_inside()
    model.get_layer("inner").get_layer("norm").set_weights(np.arange(2, 10).reshape(4, 2))
    before, weights = np.asarray(model(IMAGES)), model.weights
    network = conform(model, SHAPE, 3, KEY)
    inner = network.get_layer("inner")
    assert [layer.output.shape for layer in inner.layers] == [(None, *SHAPE)] * len(inner.layers)
    assert [id(weight) for weight in network.weights] == [id(weight) for weight in weights]
    assert len(network.trainable_weights) == 2
    for training in (False, True):
        np.testing.assert_allclose(network(IMAGES, training=training), before, rtol=1e-5)


def test_a_model_open_from_the_start_is_settled_and_comes_back_from_its_file(tmp_path):
    images = keras.Input((None, None, 2))
    inner = keras.Sequential([keras.Input((None, None, 2)), layers.Conv2D(3, 3, name="conv")], name="inner")
    model = keras.Model(images, keras.ops.softmax(layers.GlobalAveragePooling2D()(inner(images)) * 2.0))
    before = np.asarray(model(IMAGES))
    network = conform(model, SHAPE, 3, KEY)
    assert network.input_shape == (None, *SHAPE)
    assert network.get_layer("inner").get_layer("conv").output.shape == (None, 4, 4, 3)
    np.testing.assert_allclose(keras.ops.softmax(network(IMAGES)), before, rtol=1e-4)
    network.save(tmp_path / "network.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "network.keras")(IMAGES), network(IMAGES))


def test_a_model_that_would_make_whole_numbers_of_its_images_does_not():
    images = keras.Input(SHAPE, dtype="uint8")
    model = keras.Model(images, layers.Dense(3)(layers.Flatten()(layers.Rescaling(1.0)(images))))
    network = conform(model, SHAPE, 3, KEY)
    assert not np.array_equal(network(IMAGES / 10), network(np.zeros_like(IMAGES)))


def test_a_model_used_at_several_sizes_is_refused():
    parts = [keras.Input((None, None, 2)), layers.Conv2D(2, 3), layers.GlobalAveragePooling2D()]
    inner = keras.Sequential(parts, name="inner")
    images = keras.Input(SHAPE)
    model = keras.Model(images, layers.Add()([inner(images), inner(layers.UpSampling2D()(images))]))
    with pytest.raises(
        UserError, match=r"cannot be called on images of \[6,6,2\]; inner is used at several sizes; make"
    ):
        conform(model, SHAPE, 2, KEY)


def of(*outputs) -> keras.Model:
    images = keras.Input(SHAPE)
    return keras.Model(images, [output(images) for output in outputs] if len(outputs) > 1 else outputs[0](images))


def logits(units: int):
    return keras.Sequential([layers.Flatten(), layers.Dense(units)])


REFUSED = {
    "too wide": (lambda: of(logits(7)), 3, "is 7 wide, but 3 classes need 3; make its last layer as wide as the num_"),
    "one unit": (lambda: of(logits(1)), 2, "is 1 wide, but 2 classes need 2; .* or use model.head=sigmoid"),
    "two units": (lambda: of(logits(2)), 1, r"is 2 wide, but one sigmoid unit \(model.head=sigmoid\) needs 1"),
    "second head": (lambda: of(logits(3), logits(4)), 3, "head 1 is 4 wide, but 3 classes need 3"),
    "maps": (lambda: of(layers.Conv2D(3, 3)), 3, r"returns the shape \[null,4,4,3\], not \[null,3\]: .* GlobalAverage"),
    "a dict": (lambda: keras.Model(i := keras.Input(SHAPE), {"a": logits(3)(i)}), 3, "returns a dict of a; return the"),
    "other images": (
        lambda: keras.Model(i := keras.Input((8, 8, 3)), logits(3)(i)),
        3,
        r"takes inputs of \[8,8,3\], the images are \[6,6,2\]; .* or set input_shape=\[8,8,3\]",
    ),
    "vectors": (lambda: keras.Model(i := keras.Input((72,)), layers.Dense(3)(i)), 3, r"takes inputs of \[72\]"),
    "two inputs": (
        lambda: keras.Model([i := keras.Input(SHAPE), keras.Input(SHAPE)], logits(3)(i)),
        3,
        "takes 2 inputs; it must take one, the images",
    ),
    "a layer": (lambda: layers.Dense(3), 3, "returns Dense, not a keras.Model"),
    "nothing": (lambda: None, 3, "returns NoneType, not a keras.Model"),
    "a call that fails": (
        lambda: keras.Sequential([layers.Conv2D(3, 7), layers.Flatten(), layers.Dense(3)]),
        3,
        r"cannot be called on images of \[6,6,2\]; ",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line_with_a_hint(case):
    build, outputs, message = REFUSED[case]
    with pytest.raises(UserError, match=f"^{KEY}: {message}") as error:
        conform(build(), SHAPE, outputs, KEY)
    assert "\n" not in str(error.value)


class ByHand(Subclassed):
    """A softmax that no operation of TensorFlow's is called by."""

    def call(self, images, training=None):
        powers = keras.ops.exp(super().call(images, training=training))
        return powers / keras.ops.sum(powers, axis=-1, keepdims=True)


def test_probabilities_that_the_graph_does_not_tell_are_known_by_their_values(caplog):
    model = ByHand(3, None)
    probabilities = np.asarray(model(IMAGES))
    network = conform(model, SHAPE, 3, KEY)
    np.testing.assert_allclose(keras.ops.softmax(network(IMAGES)), probabilities, rtol=1e-4)
    (message,) = caplog.messages
    told = f"{KEY}: returns the probabilities (if not, use model.outputs=logits) of a softmax, which is undone by a log"
    assert message.startswith(told)


def test_what_the_user_says_they_are_wins(caplog):
    by_hand, ending_in_softmax = ByHand(3, None), a_model("dense", "softmax", 3)
    for model in (by_hand, ending_in_softmax):
        before = np.asarray(model(IMAGES))
        np.testing.assert_array_equal(conform(model, SHAPE, 3, KEY, "logits")(IMAGES), before)
    assert caplog.messages == [f"{KEY}: ends in a softmax, whose values are taken for logits, as model.outputs says"]


def test_shares_that_do_not_sum_to_1_are_probabilities_if_the_user_says_so():
    images = keras.Input(SHAPE)
    halves = keras.ops.exp(-keras.ops.relu(layers.Dense(3)(layers.Flatten()(images))))
    model = keras.Model(images, halves)
    before = np.asarray(model(IMAGES))
    assert conform(model, SHAPE, 3, KEY) is model
    network = conform(model, SHAPE, 3, KEY, "probabilities")
    np.testing.assert_allclose(keras.ops.sigmoid(network(IMAGES)), before, atol=1e-5)


def test_what_cannot_be_probabilities_is_refused_if_the_user_says_so():
    with pytest.raises(UserError, match=r"^model\.outputs=probabilities: model\._target_=mynet\.build returns values"):
        conform(a_model("dense", None, 3), SHAPE, 3, KEY, "probabilities")
