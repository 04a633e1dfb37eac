"""The two gradients of a convolution, derived by hand."""

import numpy as np
import pytest
import scipy.signal
import tensorflow as tf

from cnnlab.mechanics.gradients import (
    CASES,
    convolve,
    gradients_chapter,
    input_gradient,
    kernel_gradient,
    spread,
    tape_gradients,
)
from cnnlab.mechanics.page import scientific


def arrays(case, seed=1):
    rng = np.random.default_rng(seed)
    inputs, kernel = rng.normal(size=case.inputs), rng.normal(size=case.kernel)
    outputs = convolve(inputs, kernel, case.stride, case.padding)
    return inputs, kernel, outputs, rng.normal(size=outputs.shape)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward_and_both_gradients_are_those_of_the_tape(case):
    inputs, kernel, outputs, upstream = arrays(case)
    how = case.stride, case.padding
    np.testing.assert_allclose(outputs, tf.nn.conv2d(inputs, kernel, *how), atol=1e-12)
    towards_inputs, towards_kernel = tape_gradients(inputs, kernel, upstream, *how)
    np.testing.assert_allclose(input_gradient(inputs.shape, kernel, upstream, *how), towards_inputs, atol=1e-12)
    np.testing.assert_allclose(kernel_gradient(inputs, kernel.shape, upstream, *how), towards_kernel, atol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_gradient_towards_the_input_is_the_transposed_convolution(case):
    inputs, kernel, _, upstream = arrays(case)
    expected = tf.nn.conv2d_transpose(upstream, kernel, inputs.shape, case.stride, case.padding)
    found = input_gradient(inputs.shape, kernel, upstream, case.stride, case.padding)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_both_equations_are_scipys_with_one_channel():
    rng = np.random.default_rng(0)
    image, weights, upstream = rng.normal(size=(7, 6)), rng.normal(size=(3, 2)), rng.normal(size=(5, 5))
    as_batch, as_kernel = np.s_[None, ..., None], np.s_[..., None, None]
    found = input_gradient((1, 7, 6, 1), weights[as_kernel], upstream[as_batch], 1, "VALID")[0, ..., 0]
    np.testing.assert_allclose(found, scipy.signal.correlate2d(upstream, weights[::-1, ::-1], "full"), atol=1e-12)
    found = kernel_gradient(image[as_batch], (3, 2, 1, 1), upstream[as_batch], 1, "VALID")[..., 0, 0]
    np.testing.assert_allclose(found, scipy.signal.correlate2d(image, upstream, "valid"), atol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_gradients_predict_how_a_small_step_changes_the_loss(case):
    inputs, kernel, outputs, upstream = arrays(case)
    how = case.stride, case.padding
    rng = np.random.default_rng(2)
    for_inputs, for_kernel = rng.normal(size=inputs.shape), rng.normal(size=kernel.shape)
    stepped = convolve(inputs + for_inputs, kernel, *how), convolve(inputs, kernel + for_kernel, *how)
    changes = [((after - outputs) * upstream).sum() for after in stepped]
    predicted = [
        (for_inputs * input_gradient(inputs.shape, kernel, upstream, *how)).sum(),
        (for_kernel * kernel_gradient(inputs, kernel.shape, upstream, *how)).sum(),
    ]
    np.testing.assert_allclose(changes, predicted, rtol=1e-9)


def test_stride_spreads_the_upstream_gradient_with_zeros():
    upstream = np.array([[1.0, 2], [3, 4]])[None, ..., None]
    wide = spread(upstream, 2, (3, 4))[0, ..., 0]
    assert wide.tolist() == [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0]]


def test_the_page_shows_the_largest_difference():
    chapter = gradients_chapter(seed=3)
    differences = chapter.arrays["differences"]
    assert differences.shape == (len(CASES), 3)
    worst = differences.max()
    assert 0 < worst < 1e-12
    assert chapter.values["worst"] == scientific(worst)
    assert chapter.values["example_difference"] == "0"


def test_the_seed_draws_the_numbers_of_the_example():
    first, again, other = (gradients_chapter(seed).arrays["inputs"] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
