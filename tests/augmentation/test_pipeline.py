"""Operations one after the other, as a configuration lists them."""

import random

import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from cnnlab.augmentation.pipeline import Pipeline, build_pipeline
from cnnlab.augmentation.shift_flip import ShiftFlip
from cnnlab.data.dataset import Split
from cnnlab.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)
TARGETS = np.eye(4, dtype=np.float32)[np.arange(16) % 4]
SHIFT = {"_target_": "cnnlab.augmentation.shift_flip.ShiftFlip", "image_shape": [8, 8, 3], "shift": 2}


def test_none_changes_nothing(build, make_stream):
    images, targets = build("augmentation=none")(tf.constant(IMAGES), tf.constant(TARGETS), make_stream(16))
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(targets, TARGETS)


def test_operations_run_in_the_order_of_the_list(build):
    for names in (["shift", "shift_flip"], ["shift_flip", "shift"]):
        assert list(build(f"augmentation=[{','.join(names)}]").operations) == names


def test_each_operation_draws_numbers_of_its_own(make_stream):
    pipeline = build_pipeline(OmegaConf.create({"first": SHIFT, "second": SHIFT}))
    images, _ = pipeline(tf.constant(IMAGES), tf.constant(TARGETS), make_stream(16))
    stream = make_stream(16)
    first = pipeline.operations["first"](tf.constant(IMAGES), stream)
    second = pipeline.operations["second"](first, stream)
    np.testing.assert_array_equal(images, second)
    once_more = pipeline.operations["second"](tf.constant(IMAGES), stream)
    assert (first.numpy() != once_more.numpy()).any()


def test_only_operations_that_are_fitted_see_the_training_split():
    class Fitted:
        def adapt(self, split: Split) -> None:
            self.seen = len(split)

        def __call__(self, images, stream):
            return images

    fitted = Fitted()
    Pipeline({"fitted": fitted, "other": ShiftFlip((8, 8, 3), 2)}).adapt(Split(IMAGES, np.zeros(16, np.int32)))
    assert fitted.seen == 16


def test_a_refused_argument_is_named_with_its_key(build):
    with pytest.raises(UserError, match=r"^augmentation\.shift_flip\.shift=9: moves images of 8 pixels out of sight"):
        build("augmentation=shift_flip", "augmentation.shift_flip.shift=9")


class Own:
    """An operation as a user may write one."""

    def __init__(self, change):
        self.change = change

    def __call__(self, images, stream):
        return self.change(images)


class OwnMix:
    def mix(self, images, targets, stream):
        return images, tf.cast(targets, tf.float64)


@pytest.mark.parametrize(
    ("operation", "told"),
    [
        (
            Own(lambda images: tf.cast(images, tf.float32) / 255),
            r"Own: returns float32 \(16, 8, 8, 3\) for images of uint8 .*; of x from 0 to 255, tf\.cast",
        ),
        (Own(lambda images: images[:-1]), r"Own: returns uint8 \(15, 8, 8, 3\) for images of uint8 \(16, 8, 8, 3\)"),
        (Own(lambda images: images[:, 2:]), r"Own: returns uint8 \(16, 6, 8, 3\) for images"),
        (Own(lambda images: images.numpy()), r"Own: returns ndarray for images"),
        (Own(lambda images: None), r"Own: returns NoneType for images"),
        (OwnMix(), r"OwnMix: returns float64 \(16, 4\) for targets of float32 \(16, 4\); expected the same type"),
    ],
)
def test_an_operation_that_returns_other_images_than_it_should_is_refused(operation, told, make_stream):
    with pytest.raises(UserError, match=rf"^augmentation {__name__}\.{told}"):
        Pipeline({"own": operation})(tf.constant(IMAGES), tf.constant(TARGETS), make_stream(16))


def test_the_refusal_stays_one_line_while_a_step_is_traced(make_stream):
    pipeline = Pipeline({"own": Own(lambda images: images[:-1])})

    @tf.function  # with AutoGraph, as the training step is
    def step(images):
        return pipeline(images, tf.constant(TARGETS), make_stream(16))

    with pytest.raises(UserError, match=r"^augmentation .*; expected the same type and shape$"):
        step(tf.constant(IMAGES))


def trace(pipeline, make_stream) -> None:
    @tf.function(autograph=False)
    def step(images):
        return pipeline(images, tf.constant(TARGETS), make_stream(16))

    step.get_concrete_function(tf.constant(IMAGES))


@pytest.mark.parametrize(
    ("draw", "generator"),
    [
        (lambda: np.random.uniform() < 0.5, "numpy.random"),  # noqa: NPY002 (it is what users write)
        (lambda: random.random() < 0.5, "Python's random"),
    ],
)
def test_numbers_that_every_step_would_share_are_refused(draw, generator, make_stream):
    pipeline = Pipeline({"own": Own(lambda images: images[:, ::-1] if draw() else images)})
    with pytest.raises(UserError, match=rf"^augmentation .*\.Own: draws from {generator}, which runs once"):
        trace(pipeline, make_stream)


def test_numbers_that_no_resume_repeats_are_told_once(make_stream, caplog):
    pipeline = Pipeline({"own": Own(tf.image.random_flip_left_right)})
    trace(pipeline, make_stream)
    trace(pipeline, make_stream)
    (told,) = caplog.messages
    assert "Own: draws from TensorFlow's generator (RandomUniform)" in told


def test_our_own_operations_draw_from_their_stream_alone(build, make_stream, caplog):
    trace(build("augmentation=[shift_flip,rand_augment,random_erasing,mixup]"), make_stream)
    assert not caplog.messages
