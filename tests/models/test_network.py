"""From the configuration to network, preprocessing and exported model."""

import keras
import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from cnnlab.data.dataset import ImageFiles, Split
from cnnlab.errors import UserError
from cnnlab.models import network as build
from cnnlab.models.network import build_network, build_preprocessing, export, fit_preprocessing, take_apart


def model(name: str = "mnist_cnn", **arguments) -> DictConfig:
    target = f"cnnlab.models.{name}.{name}"
    group = {"_target_": target, "name": name, "head": "softmax", "preprocessing": {}}
    return OmegaConf.create({"model": group | arguments}).model


def options(
    rescaling: bool = True,
    normalization: bool = False,
    zca_epsilon: float | None = None,
    contrast_normalization: bool = False,
) -> DictConfig:
    return OmegaConf.create(
        {
            "rescaling": rescaling,
            "contrast_normalization": contrast_normalization,
            "normalization": normalization,
            "zca_epsilon": zca_epsilon,
        }
    )


def split(images: np.ndarray) -> Split:
    return Split(images, np.zeros(len(images), np.int32))


@pytest.fixture
def images(rng) -> np.ndarray:
    """300 images whose channels differ in brightness and contrast."""
    spread = rng.normal(size=(300, 6, 5, 3)) * [10, 30, 50] + [50, 120, 180]
    return np.clip(spread, 0, 255).astype(np.uint8)


def test_a_network_is_built_from_its_group(images):
    network = build_network(model(dropout=0.5), (28, 28, 1), 4)
    assert network.input_shape == (None, 28, 28, 1)
    assert network.output_shape == (None, 4)
    assert network.get_layer("dense1_dropout").rate == 0.5


@pytest.mark.parametrize(
    ("name", "shape", "layer", "enough"),
    [
        ("mnist_cnn", (8, 8, 1), "pool2 gets 1x1", "[18,18,1]"),
        ("mnist_cnn", (4, 40, 1), "conv2 gets 1x19", "[18,40,1]"),
        ("all_cnn_c", (8, 8, 3), "conv7 gets 2x2", "[9,9,3]"),
    ],
)
def test_an_image_that_shrinks_to_nothing_is_refused_with_the_layer_and_the_smallest_that_works(
    name, shape, layer, enough
):
    shown = f"[{','.join(map(str, shape))}]"
    with pytest.raises(UserError) as error:
        build_network(model(name), shape, 10)
    assert str(error.value) == (
        f"input_shape={shown}: too small for model={name}, whose layer {layer} pixels; use input_shape={enough}"
    )


def test_padding_same_lets_small_images_pass():
    assert build_network(model(padding="same"), (8, 8, 1), 10).get_layer("conv3").output.shape[1:3] == (2, 2)


def test_rescaling_brings_pixels_to_0_and_1():
    preprocessing = build_preprocessing(options(), (1, 2, 1))
    pixels = np.array([0, 255], np.uint8).reshape(1, 1, 2, 1)
    np.testing.assert_allclose(np.ravel(preprocessing(pixels)), [0, 1], rtol=1e-6)


def test_without_rescaling_pixels_become_floats():
    outputs = build_preprocessing(options(rescaling=False), (1, 2, 1))(np.array([7, 255], np.uint8).reshape(1, 1, 2, 1))
    assert outputs.dtype == "float32"
    np.testing.assert_array_equal(np.ravel(outputs), [7, 255])


@pytest.mark.parametrize("rescaling", [True, False])
def test_normalization_brings_each_channel_to_mean_0_and_variance_1(images, rescaling):
    preprocessing = build_preprocessing(options(rescaling, normalization=True), images.shape[1:])
    fit_preprocessing(preprocessing, split(images), seed=0)
    outputs = np.asarray(preprocessing(images))
    np.testing.assert_allclose(outputs.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(outputs.var(axis=(0, 1, 2)), 1, rtol=1e-4)


def test_whitening_works_on_what_the_layers_before_it_return(images):
    preprocessing = build_preprocessing(options(normalization=True, zca_epsilon=0.05), images.shape[1:])
    fit_preprocessing(preprocessing, split(images), seed=0)
    pixels = images / 255
    normalised = ((pixels - pixels.mean(axis=(0, 1, 2))) / pixels.std(axis=(0, 1, 2))).reshape(len(images), -1)
    centred = normalised - normalised.mean(axis=0)
    eigenvalues, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    expected = centred @ vectors @ np.diag(1 / np.sqrt(eigenvalues + 0.05)) @ vectors.T
    outputs = np.asarray(preprocessing(images)).reshape(expected.shape)
    np.testing.assert_allclose(outputs, expected, atol=1e-3)


def test_whitening_after_contrast_normalisation_sees_images_of_one_norm(images):
    preprocessing = build_preprocessing(options(contrast_normalization=True, zca_epsilon=0.1), images.shape[1:])
    before = keras.Model(preprocessing.input, preprocessing.get_layer("zca_whitening").input)
    np.testing.assert_allclose(np.linalg.norm(np.reshape(before(images), (len(images), -1)), axis=1), 55, rtol=1e-4)


def test_preprocessing_stays_in_float32_under_mixed_precision(images):
    keras.config.set_dtype_policy("mixed_bfloat16")
    preprocessing = build_preprocessing(
        options(normalization=True, zca_epsilon=0.1, contrast_normalization=True), images.shape[1:]
    )
    fit_preprocessing(preprocessing, split(images), seed=0)
    assert preprocessing(images).dtype == "float32"
    assert {weight.dtype for weight in preprocessing.weights if "count" not in weight.path} == {"float32"}


def test_large_images_are_not_whitened():
    with pytest.raises(UserError, match=r"zca_epsilon=0.1: whitening images of \[150,150,3\] .* zca_epsilon=null"):
        build_preprocessing(options(zca_epsilon=0.1), (150, 150, 3))


@pytest.fixture
def files(tmp_path, rng, files_of) -> ImageFiles:
    """Twenty one-coloured PNG files, from dark to bright."""
    paths = []
    for grey in range(0, 200, 10):
        path = tmp_path / f"{grey}.png"
        Image.fromarray(np.full((4, 4, 3), grey, np.uint8)).save(path)
        paths.append(path)
    return files_of(paths, (4, 4, 3))


def fitted_mean(files: ImageFiles, seed: int) -> float:
    preprocessing = build_preprocessing(options(rescaling=False, normalization=True), files.image_shape)
    fit_preprocessing(preprocessing, Split(files, np.zeros(len(files), np.int32)), seed)
    return float(np.mean(preprocessing.get_layer("normalization").mean))


def test_files_are_decoded_to_fit(files):
    assert fitted_mean(files, seed=0) == pytest.approx(95)


def test_of_many_files_a_seeded_sample_of_bounded_size_is_decoded(files, monkeypatch):
    monkeypatch.setattr(build, "FITTING_BYTES", 5 * 4 * 4 * 3)
    means = [fitted_mean(files, seed) for seed in (0, 0, 1)]
    assert means[0] == means[1] != means[2]
    assert means[0] * 5 == pytest.approx(round(means[0] * 5 / 10) * 10)  # the mean of five of the greys


@pytest.mark.parametrize(
    ("name", "policy"),
    [("mnist_cnn", "float32"), ("alexnet_small", "mixed_bfloat16"), ("all_cnn_c", "mixed_bfloat16")],
)
def test_an_exported_model_gives_the_same_probabilities_after_reloading(tmp_path, rng, name, policy):
    keras.config.set_dtype_policy(policy)
    images = rng.integers(0, 256, (40, 20, 20, 1), np.uint8)
    network = build_network(model(name, batch_norm=True), (20, 20, 1), 5)
    preprocessing = build_preprocessing(options(normalization=True, zca_epsilon=0.1), (20, 20, 1))
    fit_preprocessing(preprocessing, split(images), seed=0)
    exported = export(preprocessing, network)
    exported.save(tmp_path / "model.keras")
    keras.config.set_dtype_policy("float32")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    probabilities = exported(images)
    assert probabilities.dtype == "float32"
    np.testing.assert_allclose(np.sum(probabilities, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(loaded(images), probabilities)


def test_an_exported_model_shares_its_layers_and_comes_apart_again(tmp_path):
    network, preprocessing = build_network(model(), (28, 28, 1), 10), build_preprocessing(options(), (28, 28, 1))
    exported = export(preprocessing, network)
    assert take_apart(exported) == (preprocessing, network)
    exported.save(tmp_path / "model.keras")
    loaded_preprocessing, loaded_network = take_apart(keras.models.load_model(tmp_path / "model.keras"))
    assert loaded_preprocessing.name == "preprocessing"
    assert loaded_network.get_layer("conv3").output.shape == (None, 3, 3, 64)


def test_only_exported_models_come_apart():
    with pytest.raises(ValueError, match="not a model exported by cnnlab"):
        take_apart(build_network(model(), (28, 28, 1), 10))
