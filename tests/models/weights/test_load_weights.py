"""Starting from the weights in a file."""

import logging

import keras
import numpy as np
import pytest
from keras import layers
from omegaconf import OmegaConf

from cnnlab.data.dataset import Dataset, Split
from cnnlab.errors import UserError
from cnnlab.models.keras_file import save_model
from cnnlab.models.mnist_cnn import mnist_cnn
from cnnlab.models.network import build_preprocessing, export, fit_preprocessing
from cnnlab.models.weights.load_weights import head_layers, load_weights, tell_other_classes

SHAPE = (20, 20, 1)


def parts(normalization: bool = True, num_classes: int = 3) -> tuple[keras.Model, keras.Model]:
    node = OmegaConf.create({"rescaling": True, "normalization": normalization, "zca_epsilon": None})
    return build_preprocessing(node, SHAPE), mnist_cnn(SHAPE, num_classes)


@pytest.fixture
def images(rng) -> np.ndarray:
    return rng.integers(0, 100, (30, *SHAPE), np.uint8)


@pytest.fixture
def trained(images) -> tuple[keras.Model, keras.Model]:
    preprocessing, network = parts()
    fit_preprocessing(preprocessing, Split(images, np.zeros(30, np.int32)), seed=0)
    return preprocessing, network


def test_a_runs_model_brings_its_weights_and_its_preprocessing(tmp_path, trained, images):
    path = tmp_path / "model.keras"
    exported = export(*trained)
    exported.save(path)
    fresh = parts()
    load_weights(str(path), *fresh)
    np.testing.assert_array_equal(export(*fresh)(images), exported(images))


def normalizing() -> keras.Model:
    return keras.Sequential([keras.Input(SHAPE), layers.Normalization(name="norm"), layers.Flatten()])


def test_a_network_normalises_with_the_weights_it_is_given(tmp_path, images, write_hdf5):
    trained = normalizing()
    trained.layers[0].adapt(images)
    trained.save(tmp_path / "network.keras")
    names = ("mean", "variance", "count")
    stored = {name: np.asarray(value) for name, value in zip(names, trained.get_weights(), strict=True)}
    for path in (tmp_path / "network.keras", write_hdf5([("norm", stored)])):
        network = normalizing()
        load_weights(str(path), parts()[0], network)
        np.testing.assert_array_equal(network(images), trained(images))


@pytest.mark.parametrize("name", ["network.keras", "network.weights.h5"])
def test_a_network_alone_leaves_the_preprocessing(tmp_path, trained, images, name):
    path = tmp_path / name
    save = trained[1].save_weights if name.endswith(".h5") else trained[1].save
    save(path)
    preprocessing, network = parts()
    before = np.asarray(preprocessing(images))
    load_weights(str(path), preprocessing, network)
    np.testing.assert_array_equal(preprocessing(images), before)
    for ours, theirs in zip(network.get_weights(), trained[1].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def chain(length: int, dropout: float = 0.0) -> keras.Model:
    """Convolutions that all look alike, with other things that a file of weights may hold: counts, generators, frozen
    statistics, and a model within that is used twice."""
    images = keras.Input(SHAPE, name="images")
    inner = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(1, 3, padding="same"), layers.Dropout(0.5)])
    x = layers.Concatenate()([layers.Normalization()(inner(inner(images)))] * 4)
    for _ in range(length):
        x = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x))
    x = layers.Dropout(dropout)(x) if dropout else x
    return keras.Model(images, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x)), name="chain")


@pytest.mark.parametrize(("theirs", "ours", "arrays"), [(4, 2, "has 30 arrays, chain has 18"), (2, 4, "does not fit")])
def test_weights_of_a_longer_or_shorter_network_are_refused(tmp_path, theirs, ours, arrays):
    path = tmp_path / "network.weights.h5"
    chain(theirs).save_weights(path)
    with pytest.raises(UserError, match=arrays):
        load_weights(str(path), parts()[0], chain(ours))


def test_generators_and_an_optimizer_in_a_file_of_weights_are_no_arrays_too_many(tmp_path):
    trained = chain(2, dropout=0.5)
    trained.compile("adam", "mse")
    trained.fit(np.zeros((2, *SHAPE), np.float32), np.zeros((2, 3), np.float32), verbose=0)
    trained.save_weights(path := tmp_path / "network.weights.h5")
    network = chain(2)
    load_weights(str(path), parts()[0], network)
    images = np.ones((1, *SHAPE), np.float32)
    np.testing.assert_allclose(network(images), trained(images), rtol=1e-5)


def test_another_head_is_refused_with_both_shapes(tmp_path, trained):
    path = tmp_path / "model.keras"
    export(*trained).save(path)
    with pytest.raises(UserError, match=r"logits/kernel has the shape \(128, 3\), .* \(128, 4\); .*weights_head=drop"):
        load_weights(str(path), *parts(num_classes=4))


@pytest.mark.parametrize("name", ["model.keras", "network.keras", "network.weights.h5"])
@pytest.mark.parametrize("num_classes", [3, 4])
def test_without_the_head_all_else_is_taken_and_what_is_left_out_is_told(tmp_path, trained, name, num_classes, caplog):
    caplog.set_level(logging.INFO)
    path = tmp_path / name
    source = export(*trained) if name == "model.keras" else trained[1]
    (source.save_weights if name.endswith(".h5") else source.save)(path)
    preprocessing, network = parts(num_classes=num_classes)
    head = network.get_layer("logits").get_weights()
    load_weights(str(path), preprocessing, network, drop_head=True)
    for ours, theirs in zip(network.get_weights()[:-2], trained[1].get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for now, before in zip(network.get_layer("logits").get_weights(), head, strict=True):
        np.testing.assert_array_equal(now, before)
    assert [message for message in caplog.messages if message.endswith("as initialised: logits")]


@pytest.mark.parametrize("name", ["old.h5", "old.hdf5", "old.weights.h5"])
@pytest.mark.parametrize("num_classes", [3, 4])
def test_so_it_is_with_hdf5_of_older_versions_by_its_content(trained, write_hdf5, name, num_classes, caplog):
    caplog.set_level(logging.INFO)
    layers = [layer for layer in trained[1].layers if layer.weights]
    path = write_hdf5(
        [(f"old_{layer.name}", {weight.name: weight.numpy() for weight in layer.weights}) for layer in layers],
        name=name,
    )
    preprocessing, network = parts(num_classes=num_classes)
    head = network.get_layer("logits").get_weights()
    load_weights(str(path), preprocessing, network, drop_head=True)
    for ours, theirs in zip(network.get_weights(), [*trained[1].get_weights()[:-2], *head], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert any("left out: old_logits/kernel, old_logits/bias" in message for message in caplog.messages)


def test_a_head_that_does_not_fit_is_told_how_to_leave_it_out(trained, write_hdf5):
    arrays = [(f"old_{weight.path.replace('/', '_')}", {"array": weight.numpy()}) for weight in trained[1].weights]
    with pytest.raises(UserError, match=r"logits/kernel \(128, 4\); .*, or train with weights_head=drop"):
        load_weights(str(write_hdf5(arrays)), *parts(num_classes=4))


def test_a_map_is_only_for_arrays_of_others(tmp_path, trained):
    path = tmp_path / "network.weights.h5"
    trained[1].save_weights(path)
    with pytest.raises(UserError, match=r"weights_map=map.yaml: network.weights.h5 needs none"):
        load_weights(str(path), *parts(), weights_map="map.yaml")


def test_another_network_is_refused_without_its_head_too(tmp_path, trained):
    path = tmp_path / "model.keras"
    trained[1].save(path)
    with pytest.raises(UserError, match="set model=…"):
        load_weights(str(path), parts()[0], mnist_cnn((24, 24, 1), 4), drop_head=True)


def test_a_head_reaches_from_the_output_back_to_a_kernel():
    pixels = keras.Input((4, 4, 1))
    x = layers.Flatten()(layers.Conv2D(2, 3, name="conv")(pixels))
    first = layers.Activation("relu")(layers.BatchNormalization(name="norm")(layers.Dense(3, name="dense")(x)))
    second = layers.Rescaling(2.0)(layers.Dense(3, name="auxiliary")(x))
    network = keras.Model(pixels, [first, second])
    assert {layer.name for layer in head_layers(network)} == {"dense", "norm", "auxiliary"}


def test_a_start_from_outputs_that_stand_for_other_classes_is_told(tmp_path, trained, caplog):
    path = tmp_path / "model.keras"
    save_model(trained[1], path, ("cat", "dog", "emu"))
    for names in (("cat", "dog", "emu"), ("dog", "cat", "emu")):
        tell_other_classes(str(path), Dataset("zoo", SHAPE, names, {}))
    (told,) = caplog.messages
    assert "its outputs stand for other classes than those of zoo (in this order: cat, dog, emu; now: dog, cat" in told


def test_another_network_is_refused(tmp_path, trained):
    path = tmp_path / "model.keras"
    export(*trained).save(path)
    deeper = mnist_cnn(SHAPE, 3, batch_norm=True)
    with pytest.raises(UserError, match=r"has 10 weights, mnist_cnn has 22; set model=…"):
        load_weights(str(path), parts()[0], deeper)


def pooled_or_strided(padding: str, *, pooled: bool) -> keras.Model:
    """Two networks with the same variables, as Model C and Strided-CNN-C have them."""
    pixels = keras.Input((8, 8, 1))
    maps = layers.Conv2D(4, 3, padding=padding, strides=1 if pooled else 2, activation="relu", name="conv")(pixels)
    maps = layers.MaxPooling2D(3, 2, padding="same")(maps) if pooled else layers.Dropout(0.5)(maps)
    return keras.Model(pixels, layers.Dense(3)(layers.GlobalAveragePooling2D()(maps)), name="small")


def test_a_network_that_computes_something_else_with_the_same_weights_is_told(tmp_path, caplog):
    pooled_or_strided("same", pooled=True).save(tmp_path / "pooled.keras")
    network = pooled_or_strided("valid", pooled=False)
    load_weights(f"{tmp_path}/pooled.keras", parts()[0], network)
    where = f"weights={tmp_path}/pooled.keras: "
    assert [message.removeprefix(where) for message in caplog.messages] == [
        "conv was trained with padding=same, conv has valid; set model=… as it was trained",
        "conv was trained with strides=[1,1], conv has [2,2]; set model=… as it was trained",
        "of layers without weights it was trained with 1 MaxPooling2D(padding=same, strides=[2,2], pool_size=[3,3]), "
        "where small has none; set model=… as it was trained",
    ]


def test_dropout_and_probabilities_make_no_other_network(tmp_path, trained, caplog):
    probabilities = keras.Sequential([*mnist_cnn(SHAPE, 3, dropout=0.0).layers, layers.Softmax()])
    probabilities.save(tmp_path / "network.keras")
    load_weights(f"{tmp_path}/network.keras", *trained)
    assert not caplog.messages


def test_weights_of_another_network_are_refused(tmp_path, trained):
    path = tmp_path / "network.weights.h5"
    trained[1].save_weights(path)
    with pytest.raises(UserError, match=r"network.weights.h5: .*name=logits.*\(128, 4\).*\(128, 3\)"):
        load_weights(str(path), *parts(num_classes=4))


def test_other_preprocessing_is_refused(tmp_path, trained):
    path = tmp_path / "model.keras"
    export(*trained).save(path)
    with pytest.raises(UserError, match="preprocessing rescaling, normalization, not rescaling"):
        load_weights(str(path), *parts(normalization=False))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent.keras", "no such file"),
        ("weights.pt", r"must end in \.keras, .*, or be a TensorFlow checkpoint"),
    ],
)
def test_a_missing_file_or_another_kind_is_refused(tmp_path, name, reason):
    with pytest.raises(UserError, match=reason):
        load_weights(str(tmp_path / name), *parts())


@pytest.mark.parametrize("name", ["damaged.keras", "damaged.weights.h5"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"no model at all")
    with pytest.raises(UserError, match=name) as error:
        load_weights(str(tmp_path / name), *parts())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["model.keras", "network.keras", "network.weights.h5"])
def test_weights_that_are_no_numbers_are_told(tmp_path, trained, name, caplog):
    preprocessing, network = trained
    kernel = network.get_layer("conv1").kernel
    kernel.assign(keras.ops.full_like(kernel, np.nan))
    saved = export(preprocessing, network) if name.startswith("model") else network
    saved.save_weights(tmp_path / name) if name.endswith(".h5") else saved.save(tmp_path / name)
    with caplog.at_level(logging.WARNING):
        load_weights(str(tmp_path / name), *parts())
    assert "conv1/kernel holds NaN or infinity; whatever is computed with it says nothing" in caplog.text


def test_so_are_those_of_older_versions(trained, write_hdf5, caplog):
    _, network = trained
    layers = [(layer.name, layer) for layer in network.layers if layer.weights]
    stored = [
        (name, {weight.name: np.full(weight.shape, np.inf if name == "conv1" else 0) for weight in layer.weights})
        for name, layer in layers
    ]
    with caplog.at_level(logging.WARNING):
        load_weights(str(write_hdf5(stored)), *parts())
    assert "conv1/kernel holds NaN or infinity" in caplog.text
