"""Kinds of convolution on small signals."""

import keras
import numpy as np
import pytest
from scipy import ndimage, signal

from cnnlab.mechanics.kinds_of_convolution import (
    DILATIONS,
    conv1d_example,
    conv3d_example,
    depthwise_example,
    dilated_example,
    kinds_chapter,
    separable_example,
    separable_share,
    stacked_reach,
    transposed_example,
)


def test_conv1d_is_positive_where_the_signal_rises():
    example = conv1d_example()
    row = np.pad(example.inputs[:, 0], 1)
    np.testing.assert_array_equal(example.outputs[:, 0], row[2:] - row[:-2])
    assert (example.parameters, example.multiplications) == (3, 24 * 3)


def test_conv3d_tells_a_dot_that_moves_right_from_one_that_moves_left():
    example = conv3d_example()
    clip, response = example.inputs[..., 0], example.outputs[..., 0]
    assert (clip.sum(axis=(1, 2)) == 2).all()
    np.testing.assert_array_equal(clip[1:, 1, 1:], clip[:-1, 1, :-1])
    np.testing.assert_array_equal(clip[1:, 3, :-1], clip[:-1, 3, 1:])
    kernel = example.weights[0][..., 0, 0]
    np.testing.assert_array_equal(response, signal.correlate(clip, kernel, "valid", method="direct"))
    for pair in response:
        assert (pair[1].max(), pair[3].min()) == (2, -2)


@pytest.mark.parametrize("rate", DILATIONS)
def test_dilation_moves_the_weights_apart(rate):
    outputs = dilated_example(rate).outputs[:, 0]
    assert {int(place) - 10: float(outputs[place]) for place in np.flatnonzero(outputs)} == {-rate: 3, 0: 2, rate: 1}


@pytest.mark.parametrize("rates", [(1, 1, 1), DILATIONS, (2, 3)])
def test_the_reach_of_a_stack_is_what_the_gradient_reaches(rates):
    layers = [keras.layers.Conv1D(1, 3, padding="same", dilation_rate=rate, use_bias=False) for rate in rates]
    row = np.zeros((1, 41, 1), np.float32)
    row[0, 20] = 1
    for layer in layers:
        layer.build(row.shape)
        layer.set_weights([np.ones((3, 1, 1))])
        row = layer(row)
    seen = np.flatnonzero(row)
    assert seen[-1] - seen[0] + 1 == stacked_reach(3, rates)


def test_transposed_stamps_the_filter_and_is_the_transpose():
    example = transposed_example()
    assert example.outputs[:, 0].tolist() == [3, 6, 4, 2, 3, 4, 2]
    matrix = np.zeros((3, 7))  # of the convolution with the same filter and stride
    for place in range(3):
        matrix[place, 2 * place : 2 * place + 3] = [1, 2, 1]
    np.testing.assert_array_equal(matrix.T @ example.inputs[:, 0], example.outputs[:, 0])
    assert example.multiplications == 3 * 3


def test_depthwise_filters_each_channel_alone_and_separable_mixes_them():
    depthwise, separable = depthwise_example(), separable_example()
    for channel in range(3):
        weights = depthwise.weights[0][..., channel, 0]
        expected = ndimage.correlate(depthwise.inputs[..., channel], weights, mode="constant")
        np.testing.assert_array_equal(depthwise.outputs[..., channel], expected)
    mixtures = separable.weights[1][0, 0]
    np.testing.assert_allclose(separable.outputs, depthwise.outputs @ mixtures, atol=1e-6)
    assert (depthwise.parameters, separable.parameters) == (27, 27 + 6)
    assert separable.multiplications == 8 * 8 * (27 + 6)


def test_a_separable_convolution_has_one_nth_plus_one_kth_of_the_weights():
    assert separable_share(3, 128, 64) == pytest.approx(1 / 64 + 1 / 9)


def test_every_kind_is_in_the_table():
    table = kinds_chapter().values["table"]
    for kind in ("conv1d", "conv3d", "dilated, rate 4", "transposed", "depthwise", "separable"):
        assert f"<td>{kind}</td>" in table
