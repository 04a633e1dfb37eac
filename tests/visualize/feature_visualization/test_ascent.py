"""Gradient ascent towards patterns: all targets as one batch, each on its own."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from cnnlab.visualize.feature_visualization.ascent import Ascent, ascend, starting_noise
from cnnlab.visualize.feature_visualization.regularizers import lp_norm, total_variation

SHAPE = (8, 10, 3)
TEMPLATES = tf.random.stateless_normal((4, *SHAPE), [0, 0])


def likeness(images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """The product with a template, whose maximum among images is black and white where it is negative and positive."""
    return tf.reduce_sum(images / 255 * tf.gather(TEMPLATES, targets), axis=(1, 2, 3))


def found(ascent: Ascent, targets=(0, 1, 2, 3), chunk=4, score=likeness) -> np.ndarray:
    noise = starting_noise(0, "templates", targets, SHAPE)
    return ascend(score, targets, noise, ascent, seed=0, chunk=chunk, what="test")


PLAIN = Ascent(iterations=60, jitter=0)


@pytest.mark.parametrize("parametrization", ["fourier", "pixels"])
@pytest.mark.parametrize("decorrelate", [True, False])
def test_each_pattern_goes_to_its_own_maximum(parametrization, decorrelate):
    ascent = dataclasses.replace(PLAIN, parametrization=parametrization, decorrelate=decorrelate, iterations=300)
    patterns = found(ascent)
    assert patterns.min() >= 0
    assert patterns.max() <= 255
    best = likeness(255 * tf.cast(TEMPLATES > 0, tf.float32), tf.range(4))
    assert (likeness(patterns, tf.range(4)) > 0.8 * best).numpy().all()


def test_a_pattern_does_not_depend_on_those_beside_it():
    together = found(PLAIN)
    np.testing.assert_allclose(found(PLAIN, targets=(2,)), together[2:3], atol=0.5)
    np.testing.assert_allclose(found(PLAIN, chunk=3), together, atol=0.5)


def test_the_seed_repeats_noise_by_name_and_target():
    first = starting_noise(1, "conv1", [0, 5], SHAPE)
    np.testing.assert_array_equal(starting_noise(1, "conv1", [5], SHAPE)[0], first[1])
    assert not np.array_equal(starting_noise(2, "conv1", [5], SHAPE)[0], first[1])
    assert not np.array_equal(starting_noise(1, "conv2", [5], SHAPE)[0], first[1])


def test_the_best_of_several_starts_goes_on():
    def only_from_dark(images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        darkness = 1 - tf.reduce_mean(images / 255, axis=(1, 2, 3))
        return tf.where(darkness > 0.8, darkness, 0.0)

    assert found(dataclasses.replace(PLAIN, starts=[0.0], contrast=0.1), score=only_from_dark).mean() > 100
    assert found(dataclasses.replace(PLAIN, starts=[-3.0, 0.0], contrast=0.1), score=only_from_dark).mean() < 20


@pytest.mark.parametrize(
    ("more", "measure"),
    [
        ({"total_variation": 0.5}, lambda images: total_variation(images / 255)),
        ({"norm": 0.5}, lambda images: lp_norm(images / 127.5 - 1, 2)),
        ({"blur": 2.0}, lambda images: total_variation(images / 255)),
    ],
)
def test_options_change_patterns_in_their_direction(more, measure):
    without, with_it = (measure(tf.constant(found(ascent))) for ascent in (PLAIN, dataclasses.replace(PLAIN, **more)))
    assert tf.reduce_mean(with_it) < tf.reduce_mean(without)


def test_jitter_averages_out_what_depends_on_the_place():
    still, moved = (likeness(found(dataclasses.replace(PLAIN, jitter=share)), tf.range(4)) for share in (0, 0.3))
    assert (moved < still).numpy().all()


def test_a_second_pass_starts_from_the_faded_first():
    few = dataclasses.replace(PLAIN, iterations=20, learning_rate=0.02)
    once, twice = (likeness(found(dataclasses.replace(few, passes=passes)), tf.range(4)) for passes in (1, 2))
    assert (twice > once).numpy().all()


def test_total_variation_and_norm_are_those_of_numpy():
    images = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)
    down, right = (np.abs(np.diff(images, axis=axis)).mean(axis=(1, 2, 3)) for axis in (1, 2))
    np.testing.assert_allclose(total_variation(images), down + right, rtol=1e-5)
    np.testing.assert_allclose(lp_norm(images, 6), (np.abs(images) ** 6).mean(axis=(1, 2, 3)), rtol=1e-5)
