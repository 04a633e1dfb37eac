"""RandAugment, every operation against Pillow."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from cnnlab.augmentation.rand_augment import OPERATIONS, RandAugment

COUNT = 280
LEVEL = 0.5  # magnitude 5
BILINEAR = Image.Resampling.BILINEAR
EXACT = ("identity", "equalize", "solarize", "posterize")
ENHANCERS = {
    "color": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "brightness": ImageEnhance.Brightness,
    "sharpness": ImageEnhance.Sharpness,
}


def make_images(count: int) -> np.ndarray:
    """Soft pictures of few values, so that there is contrast to stretch."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(40, 200, (count, 4, 4, 3), dtype=np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(image).resize((24, 24), Image.Resampling.BILINEAR)) for image in coarse]
    )


def moved(image: np.ndarray, operation: str, signed: float) -> np.ndarray:
    """Pillow's answer, with the centre where ours is."""
    amount = {"rotate": 30, "shear_x": 0.3, "shear_y": 0.3, "translate_x": 0.45 * 24, "translate_y": 0.45 * 24}
    value, middle = amount[operation] * signed, 12.0
    coefficients = {
        "shear_x": (1, value, -value * middle, 0, 1, 0),
        "shear_y": (1, 0, 0, value, 1, -value * middle),
        "translate_x": (1, 0, value, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, value),
    }
    picture = Image.fromarray(image)
    if operation == "rotate":
        return np.asarray(picture.rotate(value, Image.Resampling.BILINEAR))
    size = picture.size
    return np.asarray(
        picture.transform(size, Image.Transform.AFFINE, coefficients[operation], Image.Resampling.BILINEAR)
    )


def expected(image: np.ndarray, operation: str, signed: float) -> np.ndarray:
    picture = Image.fromarray(image)
    match operation:
        case "identity":
            return image
        case "autocontrast":
            return np.asarray(ImageOps.autocontrast(picture))
        case "equalize":
            return np.asarray(ImageOps.equalize(picture))
        case "solarize":
            return np.asarray(ImageOps.solarize(picture, round(256 * (1 - LEVEL))))
        case "posterize":
            return np.asarray(ImageOps.posterize(picture, 8 - round(4 * LEVEL)))
        case _ if operation in ENHANCERS:
            return np.asarray(ENHANCERS[operation](picture).enhance(1 + 0.9 * signed))
    return moved(image, operation, signed)


@pytest.fixture(scope="module")
def one_layer(make_stream):
    """Images, the operation and the signed level each got, and what became of them."""
    images, stream = make_images(COUNT), make_stream(COUNT)
    chosen = stream.uniform(minval=0, maxval=len(OPERATIONS), dtype=tf.int32).numpy()
    signed = LEVEL * np.where(stream.uniform().numpy() < 0.5, -1, 1)
    results = RandAugment(num_layers=1, magnitude=10 * LEVEL)(tf.constant(images), make_stream(COUNT)).numpy()
    return images, chosen, signed, results


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_is_pillows(operation, one_layer):
    images, chosen, signed, results = one_layer
    mine = np.flatnonzero(chosen == OPERATIONS.index(operation))
    assert len(mine) > 5
    for index in mine:
        answer = expected(images[index], operation, signed[index]).astype(int)
        if operation in EXACT:
            np.testing.assert_array_equal(results[index], answer)
        elif operation == "autocontrast" or operation in ENHANCERS:
            np.testing.assert_allclose(results[index].astype(int), answer, atol=2)  # Pillow cuts fractions off
        else:  # at the edge of what is visible Pillow does not interpolate with the black around
            assert (np.abs(results[index] - answer) <= 2).mean() > 0.9


def test_all_operations_are_equally_likely(make_stream):
    chosen = make_stream(14_000).uniform(minval=0, maxval=len(OPERATIONS), dtype=tf.int32).numpy()
    np.testing.assert_allclose(np.bincount(chosen) / 1000, 1, atol=0.12)
    assert len(OPERATIONS) == 14


def test_layers_follow_each_other(make_stream):
    images, stream = tf.constant(make_images(COUNT)), make_stream(COUNT)
    once = RandAugment(num_layers=1, magnitude=5)
    stepwise = once(once(images, stream), stream).numpy().astype(int)
    together = RandAugment(num_layers=2, magnitude=5)(images, make_stream(COUNT)).numpy().astype(int)
    stream, moves = make_stream(COUNT), OPERATIONS.index("rotate")
    choices = []
    for _ in range(2):
        choices.append(stream.uniform(minval=0, maxval=len(OPERATIONS), dtype=tf.int32).numpy())
        stream.uniform()
    first, second = choices
    colours_then_anything = first < moves  # moves are put off to the end, and made in one
    np.testing.assert_array_equal(together[colours_then_anything], stepwise[colours_then_anything])
    both_move = (first >= moves) & (second >= moves)
    inner = np.abs(together - stepwise)[both_move][:, 8:16, 8:16]
    assert np.median(inner) <= 3


def test_more_magnitude_changes_more(make_stream):
    images = tf.constant(make_images(COUNT))
    changes = [
        np.abs(RandAugment(2, magnitude)(images, make_stream(COUNT)).numpy().astype(int) - images.numpy()).mean()
        for magnitude in (0, 3, 9)
    ]
    assert all(less < more for less, more in itertools.pairwise(changes))


def test_grey_images_are_augmented_too(make_stream):
    images = make_images(32)[..., :1]
    augmented = RandAugment()(tf.constant(images), make_stream(32))
    assert augmented.shape == images.shape


def test_a_magnitude_beyond_the_scale_is_refused():
    with pytest.raises(ValueError, match=r"^magnitude=11: must be at most 10"):
        RandAugment(magnitude=11)
