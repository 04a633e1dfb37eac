"""The figures: they open, they fit, and they show what they are for."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from cnnlab.data.dataset import ImageFiles, Split
from cnnlab.evaluation import confusion as heat_map
from cnnlab.evaluation.confusion import draw_confusion, draw_confusion_difference
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
    @pytest.mark.parametrize("epochs", [1, 3, 500])
    def test_both_splits_and_the_best_epoch_are_shown_over_whole_epochs(self, path, drawn, epochs):
        draw_curves(history(epochs), path, best_epoch=1)
        assert pixels(path).shape[1] in range(1400, 1700)
        assert all(shows(path, color) for color in (TRAIN_COLOR, VALIDATION_COLOR, MUTED_COLOR))
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

    def test_each_metric_has_a_panel_of_its_own(self, path, drawn):
        draw_curves(history(3, auc=0.5, val_auc=0.6, f1=0.1, val_f1=0.2, val_focal=0.3), path)
        titles = [axes.get_title(loc="left") for axes in drawn[0].axes if axes.get_visible()]
        assert titles == ["Loss (nats)", "Accuracy", "auc", "f1", "focal"]
        assert [len(axes.lines) for axes in drawn[0].axes] == [2, 2, 2, 2, 1, 0]

    def test_without_validation_only_training_is_shown_in_the_figure_that_replaces_another(self, path):
        path.parent.mkdir()
        path.write_text("another")
        missing = [history(3, val_loss=value, val_accuracy=value)[at] for at, value in enumerate((None, "", np.nan))]
        draw_curves(missing, path)
        assert shows(path, TRAIN_COLOR)
        assert not shows(path, VALIDATION_COLOR)
        assert not shows(path, MUTED_COLOR)
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    def test_a_line_goes_on_over_epochs_without_a_finite_value(self, path):
        rows = history(9)
        for row in rows[1:-1]:
            row |= {"val_loss": None, "val_accuracy": None}
        rows[4] |= {"loss": float("inf"), "accuracy": float("nan")}
        draw_curves(rows, path)
        for color in (TRAIN_COLOR, VALIDATION_COLOR):
            rgb = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
            assert (pixels(path) == rgb).all(axis=-1).any(axis=0).sum() > 800


class TestConfusion:
    @pytest.mark.parametrize("classes", [2, 120])
    def test_any_number_of_classes_makes_a_figure_of_sane_size(self, path, rng, classes):
        """The largest figure is that of 104 classes; one of the names has bytes that are no text."""
        labels = rng.integers(0, classes, 1000)
        names = ("caf\udce9", *(f"{NAMES[1]} {index}" for index in range(1, classes)))
        draw_confusion(confusion(labels, labels, names), path, "digits · test · 100.00% of 1,000 images correct")
        height, width, _ = pixels(path).shape
        assert 600 < height < 5000
        assert 700 < width < 5000

    @pytest.mark.parametrize("draw", [draw_confusion, draw_confusion_difference])
    def test_of_more_classes_than_pixels_all_rows_are_seen(self, path, drawn, monkeypatch, draw):
        monkeypatch.setattr(heat_map, "_MOST_CELLS", 100)
        counts = np.zeros((250, 250), int)
        counts[np.arange(250), np.arange(250)[::-1]] = 1  # all wrong, on the other diagonal
        draw(pd.DataFrame(counts, index=range(250), columns=range(250)).rename(str, axis=0), path, "all wrong")
        (image,) = drawn[0].axes[0].images
        dark = image.get_array()[..., :3].astype(int).sum(axis=-1) < 300
        assert dark.shape == (84, 84)
        assert dark.any(axis=0).all()
        assert dark.any(axis=1).all()
        assert image.get_extent() == [0, 250, 250, 0]

    def test_colours_are_shares_of_the_true_class(self, path, drawn):
        table = confusion(np.array([0]), np.array([0]), ("cat", "dog"))
        table[:] = [[1, 0], [0, 500]]
        draw_confusion(table, path, "a rare class and a frequent one")
        rare, rare_wrong, frequent_wrong, frequent = drawn[0].axes[0].collections[0].get_facecolors()
        np.testing.assert_array_equal(rare, frequent)
        np.testing.assert_array_equal(rare_wrong, frequent_wrong)
        assert rare[:3].sum() < 1.6 < 2.5 < rare_wrong[:3].sum(), "the diagonal is dark"


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
        over, under = (bar for label, bar in bars.items() if "confident" in label)
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
    def draw(images: np.ndarray | ImageFiles, path: Path, wrong: int, **options: object) -> np.ndarray:
        """The figure where the first `wrong` images are taken for emus, and the others for the cats they are."""
        labels = np.zeros(len(images), np.int32)
        probabilities = np.tile(np.array([0.8, 0.1, 0.1], np.float32), (len(images), 1))
        probabilities[:wrong] = [0.1, 0.2, 0.7]
        draw_mistakes(Split(images, labels), probabilities, NAMES, path, "digits · test · mistakes", **options)
        return pixels(path)

    @pytest.mark.parametrize("shape", [(8, 8, 1), (20, 60, 3), (224, 224, 3)])
    def test_grey_colour_small_and_large_images_are_shown(self, path, rng, shape):
        picture = self.draw(rng.integers(0, 256, (1, *shape), np.uint8), path, wrong=1)
        assert 600 < picture.shape[1] < 1700
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100

    def test_there_are_rows_of_mistakes_up_to_a_limit_that_the_title_tells(self, path, drawn, rng):
        images = rng.integers(0, 256, (10, 8, 8, 1), np.uint8)
        heights = [self.draw(images, path, wrong, limit=7).shape[0] for wrong in (6, 9)]
        assert heights[0] < heights[1]
        for figure, counted, shown in zip(drawn, ("all 6", "7 of 9"), (6, 7), strict=True):
            assert figure.get_suptitle() == f"digits · test · mistakes · {counted}"
            indices = [text for text in texts(figure) if text.startswith("index")]
            assert indices == [f"index {index}" for index in range(shown)]

    def test_no_mistakes_are_said_to_be_none(self, path, rng):
        picture = self.draw(rng.integers(0, 256, (4, 8, 8, 1), np.uint8), path, wrong=0)
        assert picture.shape[0] < 400
        assert shows(path, MUTED_COLOR)

    def test_the_reader_can_find_the_files_of_mistakes_and_no_others_are_read(
        self, path, drawn, rng, save_image, files_of
    ):
        name = "IMG_20260101_from_the_long_named_camera_0042.png"
        names = [f"a/{name}", f"b/{name}", "right.png"]
        files = [save_image(name, rng.integers(0, 256, (30, 40, 3), np.uint8)) for name in names]
        images = files_of(files, (16, 16, 3))
        files[-1].unlink()
        self.draw(images, path, wrong=2)
        assert texts(drawn[0]).count(shorten_middle(name, 22)) == 2
        assert shorten_middle(name, 22).endswith("_0042.png")

    def test_the_most_confident_mistake_comes_first_with_its_own_position(self, path, drawn):
        images = np.stack([np.full((8, 8, 1), level, np.uint8) for level in (60, 160)])
        probabilities = np.array([[0.4, 0.6, 0], [0.1, 0.9, 0]], np.float32)
        split = Split(images, np.zeros(2, np.int32))
        draw_mistakes(split, probabilities, NAMES, path, "mistakes", positions=np.array([7, 3]))
        middle = pixels(path)[pixels(path).shape[0] * 2 // 3]
        first, second = (np.flatnonzero((middle == level).all(axis=-1)).mean() for level in (160, 60))
        assert first < second
        assert [text for text in texts(drawn[0]) if text.startswith("index")] == ["index 3", "index 7"]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_names_are_cut_with_an_ellipsis():
    assert shorten("automobile", 10) == "automobile"
    assert shorten("automobiles", 10) == "automobil…"
    assert shorten("日本語の名前", 10) == "日本語の…", "wide characters count twice"


def test_file_names_are_cut_in_the_middle():
    assert shorten_middle("IMG_1.png", 9) == "IMG_1.png"
    assert shorten_middle("IMG_20260101_0042.png", 14) == "IMG_202…42.png"


def test_bytes_that_are_no_text_are_marked():
    assert shorten("caf\udce9", 10) == shorten_middle("caf\udce9", 10) == "caf\ufffd"
