"""From image files to pixels."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from cnnlab.data.dataset import ImageFiles
from cnnlab.data.decode import decode_image, find_damaged, load_images, resize, resize_array
from cnnlab.errors import UserError

BLOCKS = np.kron(np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
SHAPE = (32, 40, 3)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("RGB", "png"), ("RGB", "bmp"), ("RGB", "gif"),
        ("L", "png"), ("L", "bmp"), ("L", "gif"), ("L", "jpg"), ("LA", "png"),
        ("P", "png"), ("P", "gif"), ("RGBA", "png"), ("RGBA", "bmp"), ("CMYK", "jpg"), ("1", "png"),
    ],
)  # fmt: skip
def test_every_kind_of_image_becomes_rgb_as_pillow_reads_it(tmp_path, mode, suffix):
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(BLOCKS).convert(mode).save(path)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    decoded = decode_image(tf.constant(str(path)), SHAPE)
    assert decoded.dtype == tf.uint8
    np.testing.assert_array_equal(decoded, expected)


def test_jpeg_is_decoded_within_the_freedom_the_format_leaves(tmp_path):
    path = tmp_path / "image.jpg"
    Image.fromarray(BLOCKS).save(path, quality=95)
    with Image.open(path) as image:
        difference = decode_image(str(path), SHAPE).numpy() - np.asarray(image, np.float32)
    assert np.abs(difference).max() < 8
    assert np.abs(difference).mean() < 1


def test_a_gif_shows_its_first_frame(tmp_path):
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (10, 200)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    assert set(decode_image(str(tmp_path / "film.gif"), (8, 8, 1)).numpy().reshape(-1)) == {10}


def test_colour_becomes_luma_where_one_channel_is_asked_for(tmp_path):
    Image.fromarray(BLOCKS).save(tmp_path / "image.png")
    grey = decode_image(str(tmp_path / "image.png"), (32, 40, 1))
    expected = np.rint(BLOCKS @ np.array([0.299, 0.587, 0.114]))[..., np.newaxis]
    np.testing.assert_allclose(grey, expected, atol=1)


def test_in_a_graph_the_shape_is_static(tmp_path):
    Image.fromarray(BLOCKS).save(tmp_path / "image.png")
    images = tf.data.Dataset.from_tensors(str(tmp_path / "image.png")).map(lambda path: decode_image(path, (7, 9, 3)))
    assert images.element_spec == tf.TensorSpec((7, 9, 3), tf.uint8)
    assert next(iter(images)).shape == (7, 9, 3)


@pytest.mark.parametrize("shape", [(8, 10, 3), (16, 40, 3), (13, 17, 3)])
def test_shrinking_averages_as_pillow_does(shape):
    noise = np.random.default_rng(1).integers(0, 256, SHAPE, np.uint8)
    expected = Image.fromarray(noise).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(resize(tf.constant(noise), shape), np.asarray(expected), atol=1)


@pytest.mark.parametrize("shape", [(64, 80, 3), (33, 40, 3)])
def test_enlarging_interpolates_as_pillow_does(shape):
    expected = Image.fromarray(BLOCKS).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(resize(tf.constant(BLOCKS), shape), np.asarray(expected), atol=1)


def test_resizing_to_the_same_size_changes_nothing():
    np.testing.assert_array_equal(resize(tf.constant(BLOCKS), SHAPE), BLOCKS)


def test_an_array_is_resized_as_its_images_are():
    images = np.random.default_rng(2).integers(0, 256, (1500, 6, 7, 1), np.uint8)
    resized = resize_array(images, (5, 9, 3))
    assert resized.dtype == np.uint8
    for index in (0, 1023, 1024, 1499):
        np.testing.assert_array_equal(resized[index], resize(tf.constant(images[index]), (5, 9, 3)))


@pytest.fixture
def hundred(tmp_path):
    """A hundred files; every pixel of file i is i."""
    paths = [tmp_path / f"{index:03}.png" for index in range(100)]
    for index, path in enumerate(paths):
        Image.fromarray(np.full((4, 4), index, np.uint8)).save(path)
    return np.array([str(path) for path in paths])


def test_files_are_loaded_in_their_order(hundred):
    images = load_images(ImageFiles(hundred[::-1], (2, 3, 1)))
    assert images.shape == (100, 2, 3, 1)
    np.testing.assert_array_equal(images[:, 1, 1, 0], np.arange(100)[::-1])


def test_whole_files_are_not_called_damaged(hundred):
    assert find_damaged(hundred) is None


def test_the_first_damaged_file_is_named(hundred, tmp_path):
    for index in (70, 90):
        (tmp_path / f"{index:03}.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    assert find_damaged(hundred) == hundred[70]
    with pytest.raises(UserError, match=r"070\.png: cannot be decoded"):
        load_images(ImageFiles(hundred, (4, 4, 1)))


def test_a_bmp_with_a_colour_table_is_refused_rather_than_misread(tmp_path):
    Image.fromarray(BLOCKS).convert("P").save(tmp_path / "palette.bmp")
    assert find_damaged([str(tmp_path / "palette.bmp")]) == str(tmp_path / "palette.bmp")
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(str(tmp_path / "palette.bmp"), SHAPE)
