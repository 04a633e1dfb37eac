"""Test-time crops: which views of an image are averaged."""

import keras
import numpy as np
import pytest

from cnnlab import cli
from cnnlab.config.tta import parse_views
from cnnlab.data.dataset import Split
from cnnlab.data.decode import resize_array
from cnnlab.errors import UserError
from cnnlab.evaluation.predictions import predict_probabilities, predict_views

SIDE = 7


@pytest.fixture(scope="module")
def linear() -> keras.Model:
    """A softmax of three linear functions of 7×7×3 pixels."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
    return keras.Model(pixels, keras.layers.Dense(3, activation="softmax")(flat))


@pytest.fixture
def stored(rng) -> Split:
    """Squares of 10×10 pixels, of which the middle is shown; one pixel more is left over below and right."""
    squares = rng.integers(0, 256, (9, 10, 10, 3), np.uint8)
    return Split(squares[:, 1:8, 1:8], np.zeros(9, np.int32), squares=squares)


def five(images: np.ndarray) -> list[np.ndarray]:
    free = images.shape[1] - SIDE
    starts = [(0, 0), (0, free), (free, 0), (free, free), (free // 2, free // 2)]
    return [images[:, top : top + SIDE, left : left + SIDE] for top, left in starts]


def mirrored(views: list[np.ndarray]) -> list[np.ndarray]:
    return [*views, *(view[:, :, ::-1] for view in views)]


def mean(model: keras.Model, views: list[np.ndarray]) -> np.ndarray:
    return model.predict(np.concatenate(views), verbose=0).reshape(len(views), len(views[0]), -1).mean(axis=0)


@pytest.mark.parametrize(("tta", "views"), [("five_crop", five), ("ten_crop", lambda images: mirrored(five(images)))])
def test_crops_are_the_corners_and_the_middle_of_the_stored_square(linear, stored, tta, views):
    expected = mean(linear, views(stored.squares))
    for batch_size in (2, 100):
        np.testing.assert_allclose(predict_probabilities(linear, stored, batch_size, tta), expected, atol=1e-5)


def test_each_crop_is_flipped_and_shifted_where_both_are_asked_for(linear, stored):
    each = [predict_probabilities(linear, Split(crop, stored.labels), 4, "flip_shift") for crop in five(stored.squares)]
    found = predict_probabilities(linear, stored, 4, ["five_crop", "flip_shift"])
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-5)


def test_ten_crops_are_five_crops_flipped(linear, stored):
    found = [predict_probabilities(linear, stored, 4, tta) for tta in ("ten_crop", ["five_crop", "flip"])]
    np.testing.assert_array_equal(*found)


def test_beside_the_crops_come_the_images_as_they_are_shown(linear, stored):
    average, plain = predict_views(linear, stored, 4, "five_crop")
    np.testing.assert_allclose(average, predict_probabilities(linear, stored, 4, "five_crop"), atol=1e-6)
    np.testing.assert_allclose(plain, linear.predict(stored.images, verbose=0), atol=1e-5)


def test_files_are_cut_as_their_stored_squares(linear, stored, save_image, files_of):
    paths = [save_image(f"{number}.png", square) for number, square in enumerate(stored.squares)]
    files = Split(files_of(paths, (SIDE, SIDE, 3), "crop", 10), stored.labels)
    expected = predict_probabilities(linear, stored, 4, "ten_crop")
    np.testing.assert_allclose(predict_probabilities(linear, files, 4, "ten_crop"), expected, atol=1e-6)


def googlenet(image: np.ndarray) -> list[np.ndarray]:
    """Views, (1, 7, 7, 3) each, of an image whose sides are 20 and 31 pixels."""
    views = []
    for side in (8, 9, 10, 11):  # in proportion to 256, 288, 320 and 352
        for start in (0, 6, 11):
            square = image[start : start + 20] if image.shape[0] == 31 else image[:, start : start + 20]
            resized = resize_array(square[np.newaxis], (side, side, 3))
            views += mirrored([*five(resized), resize_array(resized, (SIDE, SIDE, 3))])
    assert len(views) == 144
    return views


def test_googlenets_144_crops_are_cut_out_of_the_whole_file(linear, rng, save_image, files_of):
    images = [rng.integers(0, 256, (*size, 3), np.uint8) for size in ((20, 31), (31, 20))]
    paths = [save_image(f"{number}.png", image) for number, image in enumerate(images)]
    files = Split(files_of(paths, (SIDE, SIDE, 3), "crop"), np.zeros(2, np.int32))
    expected = np.concatenate([mean(linear, googlenet(image)) for image in images])
    np.testing.assert_allclose(predict_probabilities(linear, files, 4, "googlenet_144"), expected, atol=1e-5)


def test_what_is_stored_as_it_is_shown_cannot_be_cut(linear, stored, save_image, files_of):
    small = Split(stored.images, stored.labels)
    with pytest.raises(
        UserError, match=r"dataset\.resize_size=7: tta=five_crop cuts 7 pixels .* give dataset\.resize_size=8"
    ):
        predict_probabilities(linear, small, 4, "five_crop")
    with pytest.raises(UserError, match=r"tta=googlenet_144: .* those of this dataset are arrays; use five_crop"):
        predict_probabilities(linear, stored, 4, "googlenet_144")
    squashed = Split(files_of([save_image("image.png", stored.images[0])], (SIDE, SIDE, 3)), stored.labels[:1])
    with pytest.raises(UserError, match=r"tta=googlenet_144: .* are shown by dataset\.resize=squash"):
        predict_probabilities(linear, squashed, 4, "googlenet_144")


@pytest.mark.parametrize(
    "tta", [["five_crop", "ten_crop"], ["flip", "flip_shift"], ["none", "flip"], [], ["flip", "flip"]]
)
def test_views_that_do_not_go_together_are_refused(tta):
    with pytest.raises(UserError, match="give none, or one of five_crop, ten_crop, googlenet_144, or one of flip"):
        parse_views(tta)


@pytest.mark.parametrize(
    ("tta", "message"),
    [
        (
            "five_crop",
            "dataset.resize_size=null: tta=five_crop cuts 8 pixels out of larger stored images",
        ),
        ("[ten_crop,five_crop]", "tta=[ten_crop,five_crop]: give none, or one of five_crop"),
        ("five_corp", "did you mean five_crop?"),
    ],
)
@pytest.mark.parametrize("command", ["eval", "predict"])
def test_on_the_command_line_too_in_one_line(small_run, capsys, command, tta, message):
    images = ["images=."] if command == "predict" else []
    assert cli.main([command, f"run={small_run}", f"tta={tta}", *images]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
