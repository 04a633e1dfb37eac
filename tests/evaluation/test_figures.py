"""The figures: they open, they fit, and they show what they are for."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from cnnlab.data.dataset import ImageFiles, Split
from cnnlab.evaluation.confusion import draw_confusion
from cnnlab.evaluation.metrics import calibration, confusion
from cnnlab.evaluation.mistakes import draw_mistakes
from cnnlab.evaluation.reliability import draw_reliability
from cnnlab.reporting.curves import draw_curves
from cnnlab.reporting.figure import MUTED_COLOR, TRAIN_COLOR, VALIDATION_COLOR, shorten, shorten_middle

NAMES = ("cat", "a $very$ long_name & more", "emu")


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def shows(path: Path, color: str) -> bool:
    rgb = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
    return bool((pixels(path) == rgb).all(axis=-1).any())


def history(epochs: int, **columns: object) -> list[dict]:
    rows = [
        {"epoch": n, "loss": 1 / n, "accuracy": 1 - 1 / (n + 1), "val_loss": 1.1 / n, "val_accuracy": 1 - 1.1 / (n + 1)}
        for n in range(1, epochs + 1)
    ]
    return [row | columns for row in rows]


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "plots" / "figure.png"


class TestCurves:
    @pytest.mark.parametrize("epochs", [1, 2, 30, 500])
    def test_both_splits_and_the_best_epoch_are_shown(self, path, epochs):
        draw_curves(history(epochs), path, best_epoch=1)
        assert pixels(path).shape[1] in range(1400, 1700)
        assert all(shows(path, color) for color in (TRAIN_COLOR, VALIDATION_COLOR, MUTED_COLOR))

    @pytest.mark.parametrize("epochs", [1, 2, 3, 40])
    def test_epochs_are_whole_numbers(self, path, drawn, epochs):
        draw_curves(history(epochs), path)
        for axes in drawn[0].axes:
            low, high = axes.get_xlim()
            shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
            assert shown
            assert [tick % 1 for tick in shown] == [0] * len(shown)

    def test_the_legend_covers_no_curve(self, path, drawn):
        draw_curves(history(30), path, best_epoch=3)
        (legend,) = drawn[0].legends
        assert [text.get_text() for text in legend.get_texts()] == ["train", "validation", "best: epoch 3"]
        for axes in drawn[0].axes:
            assert axes.get_legend() is None
            assert not legend.get_window_extent().overlaps(axes.get_window_extent())

    @pytest.mark.parametrize("missing", [None, "", float("nan")])
    def test_without_validation_only_training_is_shown(self, path, missing):
        draw_curves(history(3, val_loss=missing, val_accuracy=missing), path)
        assert shows(path, TRAIN_COLOR)
        assert not shows(path, VALIDATION_COLOR)
        assert not shows(path, MUTED_COLOR)

    def test_a_line_goes_on_over_epochs_without_validation(self, path):
        rows = history(9)
        for row in rows[1:-1]:
            row |= {"val_loss": None, "val_accuracy": None}
        draw_curves(rows, path)
        columns = (pixels(path) == [0xD5, 0x5E, 0x00]).all(axis=-1).any(axis=0)
        assert columns.sum() > 800

    def test_a_loss_that_became_infinite_is_left_out(self, path):
        draw_curves([*history(3), history(4)[-1] | {"loss": float("inf"), "accuracy": float("nan")}], path)
        assert shows(path, TRAIN_COLOR)

    def test_a_figure_is_replaced(self, path):
        draw_curves(history(3), path)
        draw_curves(history(3, val_loss=None, val_accuracy=None), path)
        assert not shows(path, VALIDATION_COLOR)
        assert [file.name for file in path.parent.iterdir()] == [path.name]


class TestConfusion:
    @pytest.mark.parametrize("classes", [2, 10, 100, 300])
    def test_any_number_of_classes_makes_a_figure_of_sane_size(self, path, rng, classes):
        labels = rng.integers(0, classes, 1000)
        names = tuple(f"{NAMES[1]} {index}" for index in range(classes))
        draw_confusion(confusion(labels, labels, names), path, "digits · test · 100.00% of 1,000 images correct")
        height, width, _ = pixels(path).shape
        assert 600 < height < 5000
        assert 700 < width < 5000

    def test_colours_are_shares_of_the_true_class(self, path):
        rare, frequent = [[1, 0], [0, 1]], [[500, 0], [0, 500]]
        draws = []
        for counts in (rare, frequent):
            table = confusion(np.array([0]), np.array([0]), ("cat", "dog"))
            table[:] = counts
            draw_confusion(table, path, "two classes")
            draws.append(pixels(path)[pixels(path).shape[0] // 4, pixels(path).shape[1] // 4])
        np.testing.assert_array_equal(*draws)
        assert draws[0].sum() < 400, "the diagonal is dark"


class TestReliability:
    @staticmethod
    def table(confidence: float, accuracy: float) -> pd.DataFrame:
        row = {"low": 0.6, "high": 0.7, "count": 10, "confidence": confidence, "accuracy": accuracy}
        return pd.DataFrame(
            [row, row | {"low": 0.7, "high": 0.8, "count": 0, "confidence": np.nan, "accuracy": np.nan}]
        )

    @pytest.mark.parametrize(
        ("confidence", "accuracy", "gap"),
        [
            (0.65, 0.25, "over-confident: accuracy below confidence"),
            (0.65, 1.0, "under-confident: accuracy above confidence"),
        ],
    )
    def test_a_gap_reaches_from_the_accuracy_to_the_confidence_and_says_which_is_larger(
        self, path, drawn, confidence, accuracy, gap
    ):
        draw_reliability(self.table(confidence, accuracy), abs(confidence - accuracy), path, "digits · test")
        bars = {bars.get_label(): bars[0] for bars in drawn[0].axes[0].containers}
        shown = [label for label, bar in bars.items() if "confident" in label and bar.get_height() > 0]
        assert shown == [gap]
        assert bars[gap].get_y() == min(confidence, accuracy)
        assert bars[gap].get_y() + bars[gap].get_height() == pytest.approx(max(confidence, accuracy))
        difference = "40.0 points above" if confidence > accuracy else "35.0 points below"
        assert f"mean confidence {difference} the accuracy" in drawn[0].axes[0].get_title("left")

    def test_over_and_under_confidence_differ_in_colour_and_in_hatch(self, path, drawn):
        draw_reliability(self.table(0.65, 0.25), 0.4, path, "digits · test")
        over, under = (bars[0] for bars in drawn[0].axes[0].containers if "confident" in bars.get_label())
        assert over.get_facecolor() != under.get_facecolor()
        assert over.get_hatch() != under.get_hatch()
        assert shows(path, VALIDATION_COLOR)

    def test_the_legend_covers_no_bar(self, path, drawn, rng):
        draw_reliability(calibration(rng.integers(0, 3, 200), rng.dirichlet(np.ones(3), 200)), 0.2, path, "digits")
        (legend,) = drawn[0].legends
        assert not any(legend.get_window_extent().overlaps(axes.get_window_extent()) for axes in drawn[0].axes)
        assert 700 < pixels(path).shape[1] < 1000

    def test_one_image_is_enough(self, path):
        draw_reliability(calibration(np.array([0]), np.array([[0.9, 0.1]])), 0.1, path, "digits · test")
        assert shows(path, TRAIN_COLOR)


class TestMistakes:
    @staticmethod
    def draw(images: np.ndarray | ImageFiles, path: Path, wrong: int) -> np.ndarray:
        """The figure where the first `wrong` images are taken for emus, and the others for the cats they are."""
        labels = np.zeros(len(images), np.int32)
        probabilities = np.tile(np.array([0.8, 0.1, 0.1], np.float32), (len(images), 1))
        probabilities[:wrong] = [0.1, 0.2, 0.7]
        draw_mistakes(Split(images, labels), probabilities, NAMES, path, "digits · test · mistakes")
        return pixels(path)

    @pytest.mark.parametrize("shape", [(8, 8, 1), (8, 8, 3), (20, 60, 3), (224, 224, 3)])
    def test_grey_colour_small_and_large_images_are_shown(self, path, rng, shape):
        images = rng.integers(0, 256, (4, *shape), np.uint8)
        picture = self.draw(images, path, wrong=4)
        assert 600 < picture.shape[1] < 1700
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100

    def test_rows_grow_with_mistakes_up_to_a_limit(self, path, rng):
        images = rng.integers(0, 256, (40, 8, 8, 1), np.uint8)
        heights = [self.draw(images, path, wrong).shape[0] for wrong in (6, 7, 24, 40)]
        assert heights[0] < heights[1] < heights[2] == heights[3]

    def test_no_mistakes_are_said_to_be_none(self, path, rng):
        picture = self.draw(rng.integers(0, 256, (4, 8, 8, 1), np.uint8), path, wrong=0)
        assert picture.shape[0] < 400
        assert shows(path, MUTED_COLOR)

    def test_only_the_files_of_mistakes_are_read(self, path, rng, save_image, files_of):
        wrong, right = (save_image(name, rng.integers(0, 256, (30, 40, 3), np.uint8)) for name in ("w.png", "r.png"))
        files = files_of([wrong, right], (16, 16, 3))
        right.unlink()
        assert self.draw(files, path, wrong=1).shape[1] > 600

    def test_the_most_confident_mistake_comes_first(self, path):
        images = np.stack([np.full((8, 8, 1), level, np.uint8) for level in (60, 160)])
        probabilities = np.array([[0.4, 0.6, 0], [0.1, 0.9, 0]], np.float32)
        draw_mistakes(Split(images, np.zeros(2, np.int32)), probabilities, NAMES, path, "mistakes")
        middle = pixels(path)[pixels(path).shape[0] * 2 // 3]
        first, second = (np.flatnonzero((middle == level).all(axis=-1)).mean() for level in (160, 60))
        assert first < second

    def test_the_reader_can_find_the_file(self, path, drawn, rng, save_image, files_of):
        name = "IMG_20260101_from_the_long_named_camera_0042.png"
        files = [save_image(f"{folder}/{name}", rng.integers(0, 256, (9, 9, 3), np.uint8)) for folder in ("a", "b")]
        self.draw(files_of(files, (8, 8, 3)), path, wrong=2)
        assert texts(drawn[0]).count(shorten_middle(name, 22)) == 2
        assert shorten_middle(name, 22).endswith("_0042.png")

    def test_of_arrays_the_index_in_the_split_is_told(self, path, drawn, rng):
        self.draw(rng.integers(0, 256, (9, 8, 8, 1), np.uint8), path, wrong=3)
        assert [text for text in texts(drawn[0]) if text.startswith("index")] == ["index 0", "index 1", "index 2"]

    def test_positions_go_before_the_order_of_the_images(self, path, drawn):
        images, labels = np.zeros((2, 8, 8, 1), np.uint8), np.zeros(2, np.int32)
        wrong = np.array([[0.1, 0.9, 0], [0.2, 0.8, 0]], np.float32)
        draw_mistakes(Split(images, labels), wrong, NAMES, path, "mistakes", positions=np.array([7, 3]))
        assert [text for text in texts(drawn[0]) if text.startswith("index")] == ["index 7", "index 3"]

    @pytest.mark.parametrize(("wrong", "counted"), [(3, "all 3"), (30, "24 of 30")])
    def test_the_title_tells_how_many_mistakes_there_are(self, path, drawn, rng, wrong, counted):
        self.draw(rng.integers(0, 256, (40, 8, 8, 1), np.uint8), path, wrong)
        assert drawn[0].get_suptitle() == f"digits · test · mistakes · {counted}"


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_names_are_cut_with_an_ellipsis():
    assert shorten("automobile", 10) == "automobile"
    assert shorten("automobiles", 10) == "automobil…"
    assert shorten("日本語の名前", 10) == "日本語の…", "wide characters count twice"


def test_file_names_are_cut_in_the_middle():
    assert shorten_middle("IMG_1.png", 9) == "IMG_1.png"
    assert shorten_middle("IMG_20260101_0042.png", 14) == "IMG_202…42.png"


def test_bytes_that_are_no_text_are_marked_and_drawn(path, rng):
    names = ("caf\udce9", "tea")
    draw_confusion(confusion(rng.integers(0, 2, 9), rng.integers(0, 2, 9), names), path, "test")
    assert path.is_file()
    assert shorten(names[0], 10) == shorten_middle(names[0], 10) == "caf\ufffd"
