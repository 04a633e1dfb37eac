"""Draw the learning curve of `all_cnn_curve` beside the published one of its network; tabulate it in docs/studies.md.

    python docs/published_curve.py             # reads results/all_cnn_curve; writes figures/all_cnn_curve.png too

Several seeds are averaged.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from figures import FIGURES, shrink
from matplotlib.ticker import PercentFormatter
from studies import PAGE, with_block

from cnnlab.reporting.figure import TRAIN_COLOR, VALIDATION_COLOR, new_figure, save_figure, style_axes, whole_ticks

RECORDS = Path(__file__).parents[1] / "results" / "all_cnn_curve"
PUBLISHED = pd.DataFrame(
    {
        "epoch": range(1, 11),
        "accuracy": [0.244, 0.423, 0.534, 0.601, 0.651, 0.690, 0.721, 0.743, 0.761, 0.777],
        "val_accuracy": [0.3512, 0.5000, 0.5914, 0.6601, 0.6807, 0.7330, 0.7548, 0.7713, 0.7852, 0.7947],
    }
).set_index("epoch")
"""Of the initialisation study, the first ten epochs: 50,000 training images, scored on the test images after each."""

CURVES = {"accuracy": (TRAIN_COLOR, "training"), "val_accuracy": (VALIDATION_COLOR, "held-out images")}
WIDTH = 900
"""Of the figure, in pixels."""


def main() -> None:
    here = history()
    target = FIGURES / "all_cnn_curve.png"
    draw(here, target)
    shrink(target, WIDTH, target)
    PAGE.write_text(with_block(PAGE.read_text("utf-8"), "curve", table(here)), "utf-8")


def history() -> pd.DataFrame:
    """metrics.csv by epoch; means over seeds."""
    return pd.concat(pd.read_csv(file) for file in RECORDS.glob("*/metrics.csv")).groupby("epoch").mean()


def draw(here: pd.DataFrame, target: Path) -> None:
    """Write both curves as a PNG, or replace it: here solid, published dashed.

    Args:
        here: see `history`.
    """
    figure = new_figure(7.5, 4.5, "All-CNN-C with LSUV, accuracy")
    axes = figure.subplots()
    style_axes(axes)
    for column, (color, name) in CURVES.items():
        axes.plot(here[column], color=color, marker="o", label=f"{name}, here")
        axes.plot(PUBLISHED[column], color=color, linestyle="--", label=f"{name}, published")
    axes.set_xlabel("epoch", fontsize=9)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    whole_ticks(axes.xaxis)
    axes.legend(fontsize=9, frameon=False)
    save_figure(figure, target)


def table(here: pd.DataFrame) -> Iterator[str]:
    """The held-out accuracies in percent; a column per epoch of the published curve, or fewer."""
    shared = here.index.intersection(PUBLISHED.index)
    yield f"| epoch | {' | '.join(map(str, shared))} |"
    yield "|---|" + "---|" * len(shared)
    for name, curve in (("published", PUBLISHED), ("here", here)):
        yield f"| {name} | {' | '.join(f'{value:.2%}' for value in curve.loc[shared, 'val_accuracy'])} |"


if __name__ == "__main__":
    main()
