"""Dirac: a convolution that passes its input on, and stays so through a file."""

import keras
import numpy as np
import pytest

from cnnlab.initializers.dirac import Dirac

IMAGES = np.random.default_rng(0).normal(size=(2, 6, 5, 4)).astype("float32")


def convolve(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The convolution of Keras with padding="same" and an odd kernel, written out."""
    height, width = kernel.shape[:2]
    margins = [(0, 0), (height // 2, height // 2), (width // 2, width // 2), (0, 0)]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(images, margins), (height, width), axis=(1, 2))
    return np.einsum("nyxihw,hwio->nyxo", windows, kernel)


@pytest.mark.parametrize("filters", [3, 4, 7])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 3)])
def test_the_first_filters_pass_the_input_on(filters, size):
    kernel = np.asarray(Dirac(seed=1)((*size, 4, filters)))
    shared = min(4, filters)
    np.testing.assert_array_equal(convolve(IMAGES, kernel)[..., :shared], IMAGES[..., :shared])


def test_an_even_kernel_has_its_one_right_below_the_centre():
    kernel = np.asarray(Dirac()((2, 4, 1, 1)))
    assert np.argwhere(kernel).tolist() == [[1, 2, 0, 0]]


def test_the_other_filters_are_uniform_within_the_root_of_the_fan_in():
    others = np.asarray(Dirac(seed=1)((3, 3, 16, 256)))[..., 16:]
    limit = 1 / np.sqrt(9 * 16)
    assert np.abs(others).max() == pytest.approx(limit, rel=1e-3)
    assert others.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    assert others.mean() == pytest.approx(0, abs=0.01 * limit)


def test_a_dense_kernel_is_uniform_throughout():
    values = np.asarray(Dirac(seed=1)((100, 200)))
    assert values.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.02)


def test_a_seed_repeats_and_another_differs():
    first, again, other = (np.asarray(Dirac(seed=seed)((3, 3, 2, 8))) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first[..., 2:] != other[..., 2:]).all()


def test_layers_without_seeds_differ():
    kernels = [np.asarray(Dirac()((3, 3, 2, 8))) for _ in range(2)]
    assert (kernels[0][..., 2:] != kernels[1][..., 2:]).all()


def test_a_saved_model_keeps_its_initializer(tmp_path):
    layer = keras.layers.Conv2D(8, 3, padding="same", kernel_initializer=Dirac(seed=5))
    keras.Sequential([keras.Input((6, 5, 4)), layer]).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].kernel_initializer.get_config() == {"seed": 5}
    np.testing.assert_array_equal(loaded(IMAGES)[..., :4], IMAGES)
