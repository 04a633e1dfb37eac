"""From image files to pixels."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import tensorflow as tf
from PIL import Image, ImageOps

from cnnlab.data.decode import (
    decoding,
    find_damaged,
    from_python,
    load_images,
    resize_array,
    resize_images,
    stream_images,
)
from cnnlab.errors import UserError

BLOCKS = np.kron(np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
SHAPE = (32, 40, 3)
PHOTOGRAPH = Path(sklearn.datasets.__file__).parent / "images" / "flower.jpg"


def mean_over_areas(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The exact mean of what each of (height, width) pixels covers; float64."""

    def shares(old: int, new: int) -> np.ndarray:
        edges = np.arange(new + 1) * old / new
        inside = np.minimum(edges[1:, None], np.arange(old) + 1) - np.maximum(edges[:-1, None], np.arange(old))
        return np.clip(inside, 0, None) * new / old

    rows, columns = shares(image.shape[0], height), shares(image.shape[1], width)
    halfway = np.tensordot(rows, image.astype(np.float64), 1)
    return np.einsum("ikc,lk->ilc", halfway, columns, optimize=True)


@pytest.fixture
def decode(tmp_path, files_of):
    """decode(image, shape, resize, name, **options) saves a Pillow image and decodes the file."""

    def decode(image: Image.Image, shape=SHAPE, resize="squash", name="image.png", **options) -> np.ndarray:
        image.save(tmp_path / name, **options)
        return load_images(files_of([tmp_path / name], shape, resize))[0]

    return decode


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("RGB", "png"), ("RGB", "bmp"), ("RGB", "gif"), ("RGB", "tiff"), ("RGB", "ppm"),
        ("L", "png"), ("L", "bmp"), ("L", "gif"), ("L", "jpg"),
        ("P", "png"), ("P", "gif"), ("P", "bmp"), ("CMYK", "jpg"), ("CMYK", "tiff"), ("1", "png"),
    ],
)  # fmt: skip
def test_every_kind_of_image_becomes_rgb_as_pillow_reads_it(decode, tmp_path, mode, suffix):
    decoded = decode(Image.fromarray(BLOCKS).convert(mode), name=f"image.{suffix}")
    with Image.open(tmp_path / f"image.{suffix}") as image:
        expected = np.asarray(image.convert("RGB"))
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize(
    ("suffix", "options"), [("webp", {"lossless": True}), ("avif", {"quality": 100, "subsampling": "4:4:4"})]
)
def test_formats_that_tensorflow_does_not_read_are_read(decode, suffix, options):
    decoded = decode(Image.fromarray(BLOCKS), name=f"image.{suffix}", **options)
    assert np.abs(decoded - BLOCKS.astype(float)).mean() < 2


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_white(decode, mode):
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 4, 8))
    decoded = decode(image.convert(mode), (8, 8, 3))
    assert (decoded[:, :4] == 0).all()
    assert (decoded[:, 4:] == 255).all()


def test_the_transparent_colour_of_a_palette_is_white(decode):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0, 9, 9, 9])
    image.paste(1, (0, 0, 4, 8))
    decoded = decode(image, (8, 8, 3), transparency=0)
    assert (decoded[:, :4] == 9).all()
    assert (decoded[:, 4:] == 255).all()


def test_sixteen_bits_are_stretched_from_their_own_range(decode):
    values = np.linspace(1000, 3000, 64).reshape(8, 8).astype(np.uint16)  # all of one high byte or its neighbours
    decoded = decode(Image.fromarray(values), (8, 8, 1))[..., 0]
    np.testing.assert_allclose(decoded, (values - 1000) * (255 / 2000), atol=1)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_so_are_sixteen_bits_of_colours_of_which_pillow_keeps_the_higher_8(tmp_path, files_of, channels):
    colors = np.linspace(1000, 3000, 192).reshape(8, 8, 3)[..., : 3 if channels > 2 else 1].astype(np.uint16)
    alpha = np.repeat(np.array([65535, 0], np.uint16), 4).repeat(8).reshape(8, 8, 1)
    values = np.concatenate([colors, alpha], axis=-1)[..., :channels]
    tf.io.write_file(f"{tmp_path}/scan.png", tf.io.encode_png(values))
    decoded = load_images(files_of([tmp_path / "scan.png"], (8, 8, 3)))[0]
    expected = np.broadcast_to((colors - 1000.0) * (255 / (colors.max() - 1000.0)), (8, 8, 3)).copy()
    if channels != 3:
        expected[4:] = 255
    np.testing.assert_allclose(decoded, expected, atol=1)


def test_values_that_are_infinite_or_no_number_do_not_blacken_the_others(decode):
    values = np.linspace(-1, 1, 64, dtype=np.float32)
    values[:3] = np.nan, -np.inf, np.inf
    decoded = decode(Image.fromarray(values.reshape(8, 8)), (8, 8, 1), name="depth.tiff").ravel()
    assert decoded[:3].tolist() == [0, 0, 255]
    finite = values[3:]
    np.testing.assert_allclose(decoded[3:], (finite - finite[0]) * (255 / (finite[-1] - finite[0])), atol=1)


def test_sixteen_bits_of_a_pgm_are_stretched(tmp_path, files_of):
    values = np.linspace(1000, 3000, 64).astype(">u2")
    (tmp_path / "scan.pgm").write_bytes(b"P5 8 8 65535\n" + values.tobytes())
    decoded = load_images(files_of([tmp_path / "scan.pgm"], (8, 8, 1)))[0].ravel()
    np.testing.assert_allclose(decoded, (values.astype(float) - 1000) * (255 / 2000), atol=1)


def test_an_animation_shows_its_first_frame(decode):
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (10, 200)]
    for name in ("film.gif", "film.webp", "film.png"):
        decoded = decode(frames[0], (8, 8, 1), name=name, save_all=True, append_images=frames[1:])
        np.testing.assert_allclose(decoded, 10, atol=1)


@pytest.mark.parametrize(
    ("orientation", "resize"), [*((orientation, "crop") for orientation in range(1, 9)), (6, "pad"), (8, "squash")]
)
def test_images_are_turned_upright_before_they_are_fitted(decode, orientation, resize):
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = ImageOps.exif_transpose(_tagged(orientation))
    expected = decode(upright, (12, 20, 3), resize, "upright.png")
    turned = decode(Image.fromarray(BLOCKS), (12, 20, 3), resize, exif=exif)
    np.testing.assert_allclose(turned, expected.astype(int), atol=1)


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp", "avif"])
def test_whatever_format_says_which_side_is_up(decode, suffix):
    """Pillow turns TIFF by itself when it loads one."""
    exif = Image.Exif()
    exif[0x0112] = 6
    expected = decode(ImageOps.exif_transpose(_tagged(6)), (40, 32, 3))
    turned = decode(Image.fromarray(BLOCKS), (40, 32, 3), name=f"turned.{suffix}", exif=exif)
    assert np.abs(turned - expected.astype(float)).mean() < 8  # lossy formats


def _tagged(orientation: int) -> Image.Image:
    image = Image.fromarray(BLOCKS)
    image.getexif()[0x0112] = orientation
    return image


def test_crop_takes_the_middle(decode):
    decoded = decode(Image.fromarray(BLOCKS), (16, 16, 3), "crop")
    np.testing.assert_allclose(decoded, mean_over_areas(BLOCKS[:, 4:36], 16, 16), atol=0.51)


def test_pad_shows_all_of_it_between_black_margins(decode):
    decoded = decode(Image.fromarray(BLOCKS), (20, 20, 3), "pad")
    assert not decoded[:2].any()
    assert not decoded[18:].any()
    np.testing.assert_allclose(decoded[2:18], mean_over_areas(BLOCKS, 16, 20), atol=0.51)


def test_squash_stretches(decode):
    decoded = decode(Image.fromarray(BLOCKS), (8, 8, 3), "squash")
    np.testing.assert_allclose(decoded, mean_over_areas(BLOCKS, 8, 8), atol=0.51)


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_a_long_strip_and_a_single_pixel_are_images_too(decode, resize):
    assert (decode(Image.new("RGB", (1, 1), (9, 9, 9)), (4, 4, 3), resize) == 9).all()
    assert decode(Image.new("RGB", (500, 2), (9, 9, 9)), (4, 4, 3), resize).any()


@pytest.mark.parametrize("side", [26, 80, 160])  # decoded at an eighth, a quarter and a half of its sides
def test_a_jpeg_that_is_shrunk_while_it_is_decoded_differs_little_from_the_whole(files_of, side):
    with Image.open(PHOTOGRAPH) as image:
        expected = mean_over_areas(np.asarray(image), side, side)
    assert np.abs(load_images(files_of([PHOTOGRAPH], (side, side, 3)))[0] - expected).mean() <= 2


@pytest.mark.parametrize("side", [42, 80, 160])
def test_what_is_cropped_while_it_is_decoded_is_within_half_a_pixel_of_the_middle(files_of, side):
    decoded = load_images(files_of([PHOTOGRAPH], (side, side, 3), "crop"))[0].astype(float)
    with Image.open(PHOTOGRAPH) as image:
        whole = np.asarray(image)
    margin = (whole.shape[1] - whole.shape[0]) // 2

    def difference(shift: float) -> float:
        moved = whole[:, margin + shift : whole.shape[1] - margin + shift]
        return np.abs(decoded - mean_over_areas(moved, side, side)).mean()

    half = whole.shape[0] // (2 * side)
    assert min(range(-3 * half, 3 * half + 1), key=difference) in range(-half, half + 1)


def test_photographs_differ_little_from_a_full_decode_and_an_exact_area_resize(cnnlab_data, files_of):
    paths = sorted((cnnlab_data / "cats_vs_dogs" / "train").rglob("*.jpg"))[::40]
    assert len(paths) == 50
    for path, decoded in zip(paths, load_images(files_of(paths, (96, 96, 3))), strict=True):
        with Image.open(path) as image:
            expected = mean_over_areas(np.asarray(image.convert("RGB")), 96, 96)
        assert np.abs(decoded - expected).mean() <= 2, path


def show(files, window: tuple[int, int, int, int]) -> np.ndarray:
    """A window of each file, all in one batch."""
    return next(stream_images(files, len(files), lambda sizes: window + 0 * tf.tile(sizes, (1, 2)))).numpy()


def save_turned(folder: Path, orientation: int) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(BLOCKS).save(folder / f"{orientation}.png", exif=exif)
    return folder / f"{orientation}.png"


def test_a_window_is_one_of_the_upright_image(tmp_path, files_of):
    files = files_of([save_turned(tmp_path, orientation) for orientation in range(1, 9)], (14, 9, 3))
    for orientation, shown in enumerate(show(files, (3, 5, 14, 9)), start=1):
        upright = np.asarray(ImageOps.exif_transpose(_tagged(orientation)))
        np.testing.assert_array_equal(shown, upright[3:17, 5:14])


def test_a_window_is_chosen_by_the_size_of_the_upright_image(tmp_path, files_of):
    files = files_of([save_turned(tmp_path, 6)], (40, 32, 3))  # 32 rows of 40 pixels, shown as 40 rows of 32
    shown = next(stream_images(files, 1, lambda sizes: tf.concat([0 * sizes, sizes], -1)))[0]
    np.testing.assert_array_equal(shown, np.asarray(ImageOps.exif_transpose(_tagged(6))))


@pytest.mark.parametrize("side", [26, 70, 140])  # decoded at an eighth, a quarter and a half of its sides
def test_a_window_of_a_jpeg_that_is_shrunk_while_it_is_decoded_differs_little_from_the_whole(files_of, side):
    with Image.open(PHOTOGRAPH) as image:
        expected = mean_over_areas(np.asarray(image)[32:400, 208:592], side, side)
    assert np.abs(show(files_of([PHOTOGRAPH], (side, side, 3)), (32, 208, 368, 384))[0] - expected).mean() <= 2


def test_windows_of_photographs_differ_little_from_a_full_decode_and_an_exact_area_resize(cnnlab_data, files_of):
    paths = sorted((cnnlab_data / "cats_vs_dogs" / "train").rglob("*.jpg"))[::40]
    assert len(paths) == 50
    decoded = show(files_of(paths, (48, 48, 3)), (7, 9, 101, 99))
    for path, shown in zip(paths, decoded, strict=True):
        with Image.open(path) as image:
            expected = mean_over_areas(np.asarray(image.convert("RGB"))[7:108, 9:108], 48, 48)
        assert np.abs(shown - expected).mean() <= 2, path


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_of_what_is_stored_larger_the_middle_is_shown(tmp_path, files_of, resize):
    paths = [save_turned(tmp_path, orientation) for orientation in (1, 6)]
    stored = load_images(files_of(paths, (20, 20, 3), resize))
    files = files_of(paths, (12, 16, 3), resize, 20)
    np.testing.assert_array_equal(load_images(files), stored[:, 4:16, 2:18])
    np.testing.assert_array_equal(load_images(files.stored), stored)


def test_colour_becomes_luma_where_one_channel_is_asked_for(decode):
    expected = np.rint(BLOCKS @ np.array([0.299, 0.587, 0.114]))[..., np.newaxis]
    np.testing.assert_allclose(decode(Image.fromarray(BLOCKS), (32, 40, 1)), expected, atol=1)


def test_in_a_graph_the_shape_is_static(tmp_path, files_of):
    Image.fromarray(BLOCKS).save(tmp_path / "image.png")
    images = decoding(files_of([tmp_path / "image.png"], (7, 9, 3)))
    assert images.element_spec == tf.TensorSpec((7, 9, 3), tf.uint8)


@pytest.mark.parametrize("shape", [(8, 10, 3), (16, 40, 3), (13, 17, 3)])
def test_shrinking_averages_over_areas(shape):
    noise = np.random.default_rng(1).integers(0, 256, (1, *SHAPE), np.uint8)
    resized = resize_images(tf.constant(noise), shape)[0]
    np.testing.assert_allclose(resized, mean_over_areas(noise[0], *shape[:2]), atol=0.51)


@pytest.mark.parametrize("shape", [(64, 80, 3), (33, 40, 3)])
def test_enlarging_interpolates_as_pillow_does(shape):
    expected = Image.fromarray(BLOCKS).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(resize_images(tf.constant(BLOCKS[np.newaxis]), shape)[0], np.asarray(expected), atol=1)


def test_resizing_to_the_same_size_changes_nothing():
    np.testing.assert_array_equal(resize_images(tf.constant(BLOCKS[np.newaxis]), SHAPE)[0], BLOCKS)


def test_an_array_is_resized_as_its_images_are():
    images = np.random.default_rng(2).integers(0, 256, (1500, 6, 7, 1), np.uint8)
    resized = resize_array(images, (5, 9, 3))
    assert resized.dtype == np.uint8
    for index in (0, 1023, 1024, 1499):
        np.testing.assert_array_equal(
            resized[index], resize_images(tf.constant(images[index : index + 1]), (5, 9, 3))[0]
        )


@pytest.fixture
def hundred(tmp_path):
    """A hundred files; every pixel of file i is i."""
    paths = [tmp_path / f"{index:03}.png" for index in range(100)]
    for index, path in enumerate(paths):
        Image.fromarray(np.full((4, 4), index, np.uint8)).save(path)
    return paths


def test_files_are_loaded_in_their_order(hundred, files_of):
    files = files_of(hundred[::-1], (2, 3, 1))
    images = load_images(files)
    assert images.shape == (100, 2, 3, 1)
    np.testing.assert_array_equal(images[:, 1, 1, 0], np.arange(100)[::-1])
    assert find_damaged(files) is None
    some = files.take(np.array([5, 3])).join(files.take(np.array([90])))
    np.testing.assert_array_equal(load_images(some)[:, 0, 0, 0], [94, 96, 9])


def test_the_first_file_that_was_damaged_since_it_was_checked_is_named(hundred, files_of):
    files = files_of(hundred, (4, 4, 1))
    for index in (70, 90):
        hundred[index].write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    assert find_damaged(files) == str(hundred[70])
    with pytest.raises(UserError, match=r"070\.png: cannot be decoded"):
        load_images(files)


def test_a_stream_that_is_over_leaves_nothing_in_memory():
    class Images:
        pixels = np.arange(12)

        def stream(self) -> Iterator[tf.Tensor]:
            pairs = from_python(
                tf.data.Dataset.range(4), lambda n: (self.pixels[n : n + 2],), tf.TensorSpec((2,), tf.int64)
            )
            return iter(pairs.prefetch(1))

    images = Images()
    known, stream = weakref.ref(images), images.stream()
    del images
    gc.collect()
    assert [part.numpy().tolist() for (part,) in stream] == [[0, 1], [1, 2], [2, 3], [3, 4]]
    assert known() is not None  # which the stream reads
    del stream
    gc.collect()
    assert known() is None
