"""Random affine maps: drawn and composed as Keras's ImageDataGenerator does."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from cnnlab.augmentation.affine import Affine

NOTHING = {
    "rotation_range": 0.0,
    "width_shift_range": 0.0,
    "height_shift_range": 0.0,
    "shear_range": 0.0,
    "zoom_range": 0.0,
}
RANGES = {
    "rotation_range": 40.0,
    "width_shift_range": 0.2,
    "height_shift_range": 3.0,
    "shear_range": 25.0,
    "zoom_range": 0.3,
}


def make_images(count: int, shape=(10, 14, 1)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def map_of(angle: float, down: float, right: float, shear: float, zoom: tuple[float, float], mirror: bool):
    """(2, 2) matrix and (2,) shift in (row, column), about the centre: mirrored, zoomed, sheared, moved, turned."""
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = np.array([[cosine, sine], [-sine, cosine]])
    sheared = np.array([[np.cos(shear), 0], [-np.sin(shear), 1]])
    return turned @ sheared @ np.diag(zoom) @ np.diag([1, -1 if mirror else 1]), turned @ [down, right]


def test_each_image_gets_the_map_that_was_drawn(make_stream):
    images, stream = make_images(32), make_stream(32)

    def draw(limit: float) -> np.ndarray:
        return stream.uniform(minval=-limit, maxval=limit).numpy()

    angles, shears = draw(np.radians(40)), draw(np.radians(25))
    down, right = draw(3), draw(0.2 * 14)
    rows, columns = 1 + draw(0.3), 1 + draw(0.3)
    mirrored = stream.uniform().numpy() < 0.5
    warped = Affine(**RANGES, flip=True)(tf.constant(images), make_stream(32)).numpy()
    centre = np.array([4.5, 6.5])
    for index, image in enumerate(images):
        matrix, shift = map_of(
            angles[index], down[index], right[index], shears[index], (rows[index], columns[index]), mirrored[index]
        )
        offset = centre + shift - matrix @ centre
        expected = ndimage.affine_transform(image[..., 0].astype(float), matrix, offset, order=1, mode="nearest")
        np.testing.assert_allclose(warped[index, ..., 0], expected, atol=0.51)


@pytest.mark.parametrize(("argument", "axis"), [("height_shift_range", 1), ("width_shift_range", 2)])
@pytest.mark.parametrize(("limit", "pixels"), [(0.25, 5), (5, 5)])
def test_shifts_are_fractions_or_pixels_of_their_own_side(argument, axis, limit, pixels, make_stream):
    dots = np.zeros((500, 20, 20, 1), np.uint8)
    dots[:, 10, 10] = 255
    moved = Affine(**{**NOTHING, argument: limit}, interpolation="nearest", fill="zero")(
        tf.constant(dots), make_stream(500)
    )
    places = np.argwhere(moved.numpy())
    assert (places[:, axis].min(), places[:, axis].max()) == (10 - pixels, 10 + pixels)
    assert set(places[:, 3 - axis]) == {10}


def test_half_of_the_images_are_mirrored(make_stream):
    images = np.tile(make_images(1), (1000, 1, 1, 1))
    warped = Affine(**NOTHING, flip=True)(tf.constant(images), make_stream(1000)).numpy()
    mirrored = (warped == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert ((warped == images).all(axis=(1, 2, 3)) | mirrored).all()
    assert mirrored.mean() == pytest.approx(0.5, abs=0.05)
