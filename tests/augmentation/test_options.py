"""What every option of the group `augmentation` does, whichever it is."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import cnnlab.conf

OPTIONS = sorted(path.stem for path in (Path(cnnlab.conf.__file__).parent / "augmentation").glob("*.yaml"))
IMAGES = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)
TARGETS = np.eye(4, dtype=np.float32)[np.arange(16) % 4]


@pytest.fixture(scope="module", params=OPTIONS)
def option(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def pipeline(option, build):
    return build(f"augmentation={option}")


def test_images_stay_images_and_targets_stay_probabilities(pipeline, make_draws):
    images, targets = pipeline(tf.constant(IMAGES), tf.constant(TARGETS), make_draws(16))
    assert images.shape == IMAGES.shape
    assert images.dtype == tf.uint8
    assert targets.dtype == tf.float32
    np.testing.assert_allclose(tf.reduce_sum(targets, axis=1), 1, rtol=1e-6)
    assert tf.reduce_min(targets) >= 0


def test_a_seed_repeats_and_another_step_differs(option, pipeline, make_draws):
    first, second, other = (
        pipeline(tf.constant(IMAGES), tf.constant(TARGETS), make_draws(16, seed=seed))[0].numpy()
        for seed in [(5, 2), (5, 2), (5, 3)]
    )
    np.testing.assert_array_equal(first, second)
    assert option == "none" or (first != other).any()


def test_two_replicas_do_together_what_one_does_alone(pipeline, make_draws):
    halves = [
        pipeline(tf.constant(IMAGES[i : i + 8]), tf.constant(TARGETS[i : i + 8]), make_draws(16, start=i, size=8))
        for i in (0, 8)
    ]
    whole = pipeline(tf.constant(IMAGES), tf.constant(TARGETS), make_draws(16))
    for parts, expected in zip(zip(*halves, strict=True), whole, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_xla_gives_the_same_images(pipeline, make_draws):
    @tf.function(jit_compile=True)
    def compiled(images, targets, seed, passes):
        return pipeline(images, targets, make_draws(16, seed=seed, passes=passes))

    images, targets = tf.constant(IMAGES), tf.constant(TARGETS)
    results = compiled(images, targets, tf.constant([5, 2]), tf.constant(0, tf.int64))
    for result, expected in zip(results, pipeline(images, targets, make_draws(16)), strict=True):
        np.testing.assert_allclose(tf.cast(result, tf.float32), tf.cast(expected, tf.float32), atol=0)
