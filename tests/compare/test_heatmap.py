"""Two swept keys against each other."""

import matplotlib.image
import pandas as pd
import pytest

from cnnlab.compare import heatmap


@pytest.fixture
def texts(monkeypatch) -> list[str]:
    """What is written into a figure that is saved."""
    written = []

    def save(figure, path, metadata=None):
        written.extend(text.get_text() for text in figure.axes[0].texts)
        original(figure, path, metadata)

    original = heatmap.save_figure
    monkeypatch.setattr(heatmap, "save_figure", save)
    return written


def table(metric: str, rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["optimizer", "initializer", "seed", "counted", metric])


def test_each_pair_of_values_has_its_mean_deviation_and_number(tmp_path, texts):
    rows = [
        ("sgd", "lsuv", 0, True, 0.50),
        ("sgd", "lsuv", 1, True, 0.60),
        ("sgd", "gaussian", 0, True, 0.25),
        ("sgd", "gaussian", 1, False, 0.9),  # does not count
        ("adam", "lsuv", 0, False, None),
        ("adam", "gaussian", 0, True, 0.1),
    ]
    runs = table("final_val_accuracy", rows)
    heatmap.draw_heatmap(runs, ("optimizer", "initializer"), "final_val_accuracy", tmp_path / "map.png")
    assert texts == ["55.00%\n± 7.07\nn = 2", "25.00%\nn = 1", "–", "10.00%\nn = 1"]
    assert matplotlib.image.imread(tmp_path / "map.png").ndim == 3


def test_a_loss_is_no_percentage(tmp_path, texts):
    rows = [("sgd", "lsuv", seed, True, 1.5 + seed) for seed in (0, 1)]
    heatmap.draw_heatmap(table("final_loss", rows), ("optimizer", "initializer"), "final_loss", tmp_path / "map.png")
    assert texts == ["2\n± 0.71\nn = 2"]
