"""Windows out of stored images and out of image files: a function of seed, step, position and size alone."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from cnnlab.augmentation.pipeline import Pipeline
from cnnlab.augmentation.random_crop import RandomCrop
from cnnlab.augmentation.random_resized_crop import RandomResizedCrop
from cnnlab.augmentation.resample import resample
from cnnlab.augmentation.shift_flip import ShiftFlip
from cnnlab.data.data_loader import build_data_loader
from cnnlab.data.dataset import Split
from cnnlab.data.sampler import TrainingSampler
from cnnlab.errors import UserError

SHAPE = (8, 8, 3)
NUMBERED = np.stack(np.broadcast_arrays(*np.ogrid[:12, :12], 0), axis=-1).astype(np.uint8)
"""A square whose pixels are called by their row and column."""
STORED = np.repeat(NUMBERED[np.newaxis], 64, axis=0)
SEED, STEP = 5, 2


def windows(operation, stream, size) -> np.ndarray:
    return operation.window(operation.draw(stream), tf.constant(size)).numpy()


def test_random_crop_cuts_whole_pixels_from_anywhere_in_the_stored_image(make_stream):
    crops = RandomCrop(SHAPE)(tf.constant(STORED), make_stream(64)).numpy()
    assert crops.shape == (64, *SHAPE)
    starts = crops[:, 0, 0, :2]
    for start, crop in zip(starts, crops, strict=True):
        np.testing.assert_array_equal(crop, NUMBERED[start[0] : start[0] + 8, start[1] : start[1] + 8])
    assert {*starts[:, 0]} == {*starts[:, 1]} == {*range(5)}


def test_a_shorter_side_is_drawn_for_each_image_both_ends_included(make_stream):
    found = windows(RandomCrop(SHAPE, [8, 16]), make_stream(500), (12, 12))
    sides = 8 * 12 / found[:, 2]
    np.testing.assert_allclose(sides, np.round(sides), rtol=1e-6)
    assert {*np.round(sides)} == {*range(8, 17)}
    assert (found[:, :2] >= 0).all()
    assert (found[:, :2] + found[:, 2:] <= 12).all()


def test_a_side_that_is_the_stored_one_changes_no_pixel(make_stream):
    stored = np.random.default_rng(0).integers(0, 256, (16, 12, 12, 3), np.uint8)
    whole, sized = (RandomCrop(SHAPE, side)(tf.constant(stored), make_stream(16)) for side in (None, [12, 12]))
    np.testing.assert_array_equal(whole, sized)


def test_random_resized_crop_draws_area_and_aspect_ratio_as_asked(make_stream):
    found = windows(RandomResizedCrop((400, 400, 3), (0.2, 0.6), (0.5, 2)), make_stream(2000), (400, 500))
    area = found[:, 2] * found[:, 3] / (400 * 500)
    ratio = found[:, 3] / found[:, 2]
    assert 0.195 < area.min() < 0.21
    assert 0.57 < area.max() < 0.605
    assert 0.49 < ratio.min() < 0.52
    assert 1.9 < ratio.max() < 2.05
    assert abs(np.log(ratio).mean()) < 0.05  # as often wide as high
    assert (found[:, :2] >= 0).all()
    assert (found[:, :2] + found[:, 2:] <= (400, 500)).all()


def test_a_window_of_a_jpeg_is_whole_pixels_of_what_it_is_decoded_to(make_stream):
    found = windows(RandomResizedCrop((60, 60, 3), (0.01, 1)), make_stream(500), (768, 1024))
    ratios = np.array([1, 2, 4, 8])
    largest = (4 * found[:, 2:].min(axis=1)[:, np.newaxis] >= 5 * 60 * ratios[1:]).sum(axis=1)
    assert {*largest} == {0, 1, 2, 3}
    assert not (found % ratios[largest][:, np.newaxis]).any()


@pytest.mark.parametrize(("size", "expected"), [((10, 1000), (0, 493, 10, 13)), ((1000, 10), (493, 0, 13, 10))])
def test_where_no_window_fits_the_middle_is_shown(make_stream, size, expected):
    found = windows(RandomResizedCrop(SHAPE, (0.5, 1)), make_stream(8), size)
    np.testing.assert_array_equal(found, np.tile(expected, (8, 1)))


def test_a_single_pixel_is_a_window(make_stream):
    np.testing.assert_array_equal(windows(RandomResizedCrop(SHAPE), make_stream(2), (1, 1)), [[0, 0, 1, 1]] * 2)


@pytest.mark.parametrize("operation", [RandomCrop(SHAPE, [8, 16]), RandomResizedCrop(SHAPE)])
def test_a_window_depends_on_seed_step_position_and_size_alone(make_stream, operation):
    def found(count: int, *, start: int = 0, size: int = 4, seed: int = SEED, step: int = STEP, asked: int = 0):
        stream = make_stream(count, start=start, size=size, seed=(seed, step))
        for _ in range(asked):
            stream.uniform()
        return windows(operation, stream, (12, 12))

    expected = found(4)
    np.testing.assert_array_equal(found(4, asked=3), expected)  # what other operations draw
    np.testing.assert_array_equal(np.concatenate([found(4, size=2), found(4, start=2, size=2)]), expected)  # replicas
    assert (found(4, seed=6) != expected).any()
    assert (found(4, step=3) != expected).any()
    assert (expected[0] != expected[1]).any()


def test_other_operations_draw_the_same_with_and_without_a_crop(make_stream):
    images, targets = tf.constant(STORED), tf.zeros((64, 1))
    crop, shift = RandomCrop(SHAPE), ShiftFlip(SHAPE, 2)
    after, _ = Pipeline({"crop": crop, "shift": shift})(images, targets, make_stream(64))
    np.testing.assert_array_equal(after, shift(crop(images, make_stream(64)), make_stream(64)))


IMAGE = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)


@pytest.mark.parametrize("window", [(2, 1, 8, 9), (0.5, 3.25, 10.5, 8)])
def test_what_shrinks_is_the_mean_over_areas(window):
    top, left, height, width = (int(32 * value) for value in window)
    fine = np.kron(IMAGE, np.ones((32, 32, 1)))[top : top + height, left : left + width]
    expected = fine.reshape(8, height // 8, 8, width // 8, 3).mean(axis=(1, 3))
    shown = resample(tf.constant(IMAGE[np.newaxis]), tf.constant([window], tf.float32), 8, 8)[0]
    np.testing.assert_allclose(shown, expected, atol=0.51)


def test_what_is_enlarged_is_interpolated_as_pillow_does():
    expected = Image.fromarray(IMAGE).resize((8, 8), Image.Resampling.BILINEAR, box=(2, 1, 6, 6))
    shown = resample(tf.constant(IMAGE[np.newaxis]), tf.constant([[1, 2, 5, 4]], tf.float32), 8, 8)[0]
    inside = np.s_[1:-1, 1:-1]  # Pillow does not look beyond the box
    np.testing.assert_allclose(shown[inside], np.asarray(expected)[inside], atol=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomCrop((224, 224, 3), [200, 300]), r"shorter_side=\[200, 300\]: must be .* of 224 pixels or more"),
        (lambda: RandomCrop(SHAPE, [16, 8]), r"shorter_side=\[16, 8\]: must be \[smallest, largest\]"),
        (lambda: RandomResizedCrop(SHAPE, (0, 1)), r"scale=\[0, 1\]: must be \[smallest, largest\], above 0"),
        (lambda: RandomResizedCrop(SHAPE, ratio=(2, 1)), r"ratio=\[2, 1\]: must be \[smallest, largest\], above 0"),
    ],
)
def test_what_cannot_be_cut_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ("flip,random_crop", r"random_crop cuts out the images and comes first; use .*=\[random_crop,flip\]"),
        ("random_crop,random_resized_crop", "random_crop and random_resized_crop both cut out the images"),
    ],
)
def test_crops_come_first_and_alone(build, operations, message):
    with pytest.raises(UserError, match=message):
        build(f"augmentation=[{operations}]")


@pytest.fixture
def photographs(save_image, files_of):
    """Twelve PNG files of 20×30 pixels, with what a dataset makes of them."""
    rng = np.random.default_rng(0)
    paths = [save_image(f"{number}.png", rng.integers(0, 256, (20, 30, 3), np.uint8)) for number in range(12)]
    return Split(files_of(paths, SHAPE, "crop", 12), np.arange(12, dtype=np.int32))


def cropped(pipeline: Pipeline, split: Split, mode: str, steps: list[int], make_stream) -> np.ndarray:
    """The images of steps of a training of four images each, as its pipeline makes them."""
    pipeline.adapt(split)
    loader = build_data_loader(
        pipeline.before(split),
        TrainingSampler(len(split), 4, seed=0),
        tf.distribute.OneDeviceStrategy("CPU:0"),
        mode=mode,
        cache_limit_mib=1,
        cropping=pipeline.host_cropping(SEED, 4),
    )
    batches = []
    for step in steps:
        images, _, _ = loader.select(loader.inputs(step, 1), 0, 0)
        batches.append(pipeline(images, tf.zeros((4, 1)), make_stream(4, seed=(SEED, step)))[0])
    return np.stack(batches)


@pytest.mark.parametrize("side", [None, [8, 16]])
def test_cached_and_streamed_crops_are_the_same_pixels(photographs, make_stream, side):
    pipeline = Pipeline({"crop": RandomCrop(SHAPE, side)})
    cached, streamed = (cropped(pipeline, photographs, mode, [0, 1, 4], make_stream) for mode in ("cached", "stream"))
    assert cached.shape == (3, 4, *SHAPE)
    np.testing.assert_array_equal(cached, streamed)


def test_for_a_drawn_side_files_are_stored_at_the_largest_whatever_is_evaluated(photographs):
    pipeline = Pipeline({"crop": RandomCrop(SHAPE, [8, 16])})
    assert pipeline.before(photographs).image_shape == (16, 16, 3)
    assert photographs.stored_shape == (12, 12, 3)


def test_windows_of_files_are_those_of_their_step_wherever_the_stream_begins(photographs, make_stream):
    pipeline = Pipeline({"crop": RandomResizedCrop(SHAPE)})
    whole = cropped(pipeline, photographs, "auto", [0, 1, 2, 3], make_stream)
    np.testing.assert_array_equal(cropped(pipeline, photographs, "stream", [2, 3], make_stream), whole[2:])
    assert len({image.tobytes() for image in whole.reshape(-1, *SHAPE)}) == 16


def test_windows_of_files_are_the_pixels_that_the_operation_names(photographs, make_stream):
    operation = RandomResizedCrop(SHAPE)
    images = cropped(Pipeline({"crop": operation}), photographs, "stream", [STEP], make_stream)[0]
    rows = TrainingSampler(12, 4, seed=0).batch(STEP)
    for row, image, window in zip(rows, images, windows(operation, make_stream(4), (20, 30)), strict=True):
        with Image.open(photographs.images.paths[row]) as file:
            pixels = tf.constant(np.asarray(file)[np.newaxis])
        shown = resample(pixels, tf.constant(window[np.newaxis], tf.float32), *SHAPE[:2])[0]
        inside = np.s_[1:-1, 1:-1]  # at its border a small window is enlarged from its own pixels alone
        np.testing.assert_allclose(image[inside].astype(int), shown.numpy()[inside], atol=1)


def test_each_host_draws_its_own_share_of_the_windows_of_a_step(photographs):
    pipeline = Pipeline({"crop": RandomResizedCrop(SHAPE)})
    pipeline.adapt(photographs)
    cropping = pipeline.host_cropping(SEED, 4)
    step = tf.constant(STEP, tf.int64)
    shares = [cropping.draw(step, first, 2) for first in (0, 2)]
    np.testing.assert_array_equal(np.concatenate(shares), cropping.draw(step, 0, 4))


def test_files_whose_windows_differ_in_each_step_cannot_be_cached(photographs, make_stream):
    with pytest.raises(UserError, match=r"trainer\.data=cached: an augmentation .* use trainer\.data=auto"):
        cropped(Pipeline({"crop": RandomResizedCrop(SHAPE)}), photographs, "cached", [0], make_stream)
