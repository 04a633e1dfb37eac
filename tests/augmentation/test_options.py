"""What every option of the group `augmentation` does, whichever it is."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

import cnnlab.conf
from cnnlab.data.dataset import Split

CONF = Path(cnnlab.conf.__file__).parent / "augmentation"
OPTIONS = sorted(path.stem for path in CONF.glob("*.yaml"))
VARIANTS = ("shift", "brightness")  # of shift_flip and color_jitter
BESIDE_STRENGTH = {  # what changes images whatever the strength
    "shift_flip": ["augmentation.shift_flip.flip=false"],
    "extensive": ["augmentation.extensive.flip=false", "augmentation.extensive.scale=[1,1]"],
}
CROPS = ("random_crop", "random_resized_crop")
IMAGES = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)
TARGETS = np.eye(4, dtype=np.float32)[np.arange(16) % 4]


@pytest.fixture(scope="module", params=OPTIONS)
def option(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def pipeline(option, build):
    pipeline = build(f"augmentation={option}", image_shape=shape(option))
    pipeline.adapt(Split(IMAGES, np.arange(16, dtype=np.int32) % 4))
    return pipeline


def shape(option: str) -> tuple[int, int, int]:
    """Of the images that come out, where those of 8×8 pixels go in."""
    return (6, 5, 3) if option in CROPS else (8, 8, 3)


def test_images_stay_images_and_targets_stay_probabilities(option, pipeline, make_stream):
    images, targets = pipeline(tf.constant(IMAGES), tf.constant(TARGETS), make_stream(16))
    assert images.shape == (16, *shape(option))
    assert images.dtype == tf.uint8
    assert targets.dtype == tf.float32
    np.testing.assert_allclose(tf.reduce_sum(targets, axis=1), 1, rtol=1e-6)
    assert tf.reduce_min(targets) >= 0


def test_a_seed_repeats_and_another_step_differs(option, pipeline, make_stream):
    first, second, other = (
        pipeline(tf.constant(IMAGES), tf.constant(TARGETS), make_stream(16, seed=seed))[0].numpy()
        for seed in [(5, 2), (5, 2), (5, 3)]
    )
    np.testing.assert_array_equal(first, second)
    assert option == "none" or (first != other).any()


def test_two_replicas_do_together_what_one_does_alone(pipeline, make_stream):
    halves = [
        pipeline(tf.constant(IMAGES[i : i + 8]), tf.constant(TARGETS[i : i + 8]), make_stream(16, start=i, size=8))
        for i in (0, 8)
    ]
    whole = pipeline(tf.constant(IMAGES), tf.constant(TARGETS), make_stream(16))
    for parts, expected in zip(zip(*halves, strict=True), whole, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), expected)


@pytest.fixture
def compiled(pipeline, make_stream):
    """The pipeline, which XLA compiles when it is called."""

    @tf.function(jit_compile=True)
    def compiled(images, targets, seed, passes):
        return pipeline(images, targets, make_stream(16, seed=seed, passes=passes))

    return compiled


ARGUMENTS = tf.constant(IMAGES), tf.constant(TARGETS), tf.constant([5, 2]), tf.constant(0, tf.int64)
LONG = ("affine", "extensive", "rand_augment")  # take XLA several seconds
OF_ITS_OWN = [option for option in OPTIONS if option not in ("none", *VARIANTS, *LONG)]


@pytest.mark.parametrize(
    "option",
    [*OF_ITS_OWN, *(pytest.param(option, marks=pytest.mark.slow) for option in LONG)],
    scope="module",
)
def test_xla_gives_the_same_images(option, pipeline, compiled, make_stream):
    images, targets = compiled(*ARGUMENTS)
    expected_images, expected_targets = pipeline(*ARGUMENTS[:2], make_stream(16))
    differences = np.abs(images.numpy().astype(int) - expected_images.numpy())
    assert differences.max() <= 1  # XLA fuses multiplications and additions: a half may be rounded the other way
    assert (differences > 0).mean() < (
        0.01 if option in CROPS else 0.002
    )  # halves are frequent in means over few pixels
    np.testing.assert_allclose(targets, expected_targets, rtol=1e-6)


@pytest.mark.parametrize("option", ["extensive", "rand_augment"], scope="module")
def test_xla_has_every_operation(compiled):
    assert "HloModule" in compiled.experimental_get_compiler_ir(*ARGUMENTS)(stage="hlo")


@pytest.mark.parametrize("option", [option for option in OPTIONS if option != "none"])
def test_the_yaml_has_every_option_and_repeats_the_defaults(option, build):
    given = OmegaConf.to_container(OmegaConf.load(CONF / f"{option}.yaml"), resolve=False)
    (operation,) = build(f"augmentation={option}").operations.values()
    arguments = inspect.signature(type(operation)).parameters
    assert [*arguments] == [name for name in given if name != "_target_"]
    for name, argument in arguments.items():
        default = list(argument.default) if isinstance(argument.default, tuple) else argument.default
        if option not in VARIANTS and argument.default is not inspect.Parameter.empty:
            assert given[name] == default, name


@pytest.mark.parametrize(
    "option", [option for option in OPTIONS if option not in ("none", "flip", "rand_augment", *CROPS)]
)
def test_at_zero_strength_images_and_targets_stay_as_they_are(option, build, make_stream):
    (operation,) = build(f"augmentation={option}").operations.values()
    arguments = [f"augmentation.{option}.{argument}=0" for argument in operation.strength]
    assert arguments
    pipeline = build(f"augmentation={option}", *arguments, *BESIDE_STRENGTH.get(option, []))
    pipeline.adapt(Split(IMAGES, np.zeros(16, np.int32)))
    images, targets = pipeline(tf.constant(IMAGES), tf.constant(TARGETS), make_stream(16))
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(targets, TARGETS)
