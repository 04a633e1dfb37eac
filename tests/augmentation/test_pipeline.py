"""Operations one after the other, as a configuration lists them."""

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
