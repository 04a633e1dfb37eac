"""Draw docs/figures/all_cnn_curve.png: the learning curve of `all_cnn_curve` beside the published one of its network.

python docs/published_curve.py             # reads results/all_cnn_curve, writes the figure, prints a table
"""

from pathlib import Path

import pandas as pd
from figures import FIGURES, shrink
from matplotlib.ticker import PercentFormatter

from cnnlab.reporting.figure import TRAIN_COLOR, VALIDATION_COLOR, new_figure, save_figure, style_axes, whole_ticks

RECORDS = Path(__file__).parents[1] / "results" / "all_cnn_curve"
PUBLISHED = pd.DataFrame(
    {
        "epoch": range(1, 11),
        "accuracy": [0.244, 0.423, 0.534, 0.601, 0.651, 0.690, 0.721, 0.743, 0.761, 0.777],
        "val_accuracy": [0.3512, 0.5000, 0.5914, 0.6601, 0.6807, 0.7330, 0.7548, 0.7713, 0.7852, 0.7947],
    }
)
"""The first ten epochs of the initialisation study: 50,000 training images, scored on the test images after each."""

CURVES = {"accuracy": (TRAIN_COLOR, "training"), "val_accuracy": (VALIDATION_COLOR, "held-out images")}
WIDTH = 900
"""Of the figure, in pixels."""


def main() -> None:
    runs = {int(folder.name): pd.read_csv(folder / "metrics.csv") for folder in sorted(RECORDS.iterdir())}
    target = FIGURES / "all_cnn_curve.png"
    draw(runs, target)
    shrink(target, WIDTH, target)
    print(table(runs).to_string())


def draw(runs: dict[int, pd.DataFrame], target: Path) -> None:
    """Write the curves of every seed, solid, and the published ones, dashed.

    Args:
        runs: metrics.csv by seed.
        target: the PNG to write or replace.
    """
    figure = new_figure(7.5, 4.5, "All-CNN-C with LSUV: accuracy of the first epochs")
    axes = figure.subplots()
    style_axes(axes)
    for column, (color, name) in CURVES.items():
        for seed, history in runs.items():
            axes.plot(history["epoch"], history[column], color=color, marker="o", label=f"{name}, here, seed {seed}")
        axes.plot(PUBLISHED["epoch"], PUBLISHED[column], color=color, linestyle="--", label=f"{name}, published")
    axes.set_xlabel("epoch", fontsize=9)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    whole_ticks(axes.xaxis)
    axes.legend(fontsize=9, frameon=False)
    save_figure(figure, target)


def table(runs: dict[int, pd.DataFrame]) -> pd.DataFrame:
    """The held-out accuracies in percent, a row per epoch; seeds are averaged."""
    ours = pd.concat(runs.values()).groupby("epoch")["val_accuracy"].mean()
    both = pd.DataFrame({"published": PUBLISHED.set_index("epoch")["val_accuracy"], "here": ours})
    return (100 * both).round(2)


if __name__ == "__main__":
    main()
