"""Bring docs/studies.md up to date: its tables, verdicts and figures, from the four sweeps of the All-CNN study.

    for name in initializers augmentations regularizers optimizers; do
        cnnlab train experiment=sweep_$name hydra.launcher.slots=4
        cnnlab compare runs=outputs/sweeps/$name
    done
    python docs/studies.py            # reads outputs/sweeps; or names another folder

What stands between `<!-- NAME -->` and `<!-- end -->` in the page is replaced, the rest is written by hand. A
sweep that is not there is left out.
"""

import argparse
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd
from figures import FIGURES, shrink

from cnnlab.compare.collect import collect
from cnnlab.compare.notes import provenance_notes
from cnnlab.compare.statistics import paired_differences
from cnnlab.compare.tables import runs_table

PAGE = Path(__file__).with_name("studies.md")
BASELINES = {
    "initializers": "initializer=lsuv",
    "augmentations": "zca",
    "regularizers": "batch_norm",
    "optimizers": "sgd",
}
"""The configuration that a study's published conclusion is about, or sgd: the others are compared with it."""

COLUMNS = {
    "mean_val_accuracy": "validation, mean of six",
    "final_val_accuracy": "validation, at the end",
    "final_accuracy": "training, last 500 batches",
}
TESTED = ("mean_val_accuracy", "final_val_accuracy")
SHOWN = {"steps_accuracy.png": 900, "steps_loss.png": 900, "epochs.png": 1100}
"""What is shown of a comparison, and how wide, in pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("outputs/sweeps"), help="that holds the sweeps")
    folder = parser.parse_args().folder
    page = PAGE.read_text("utf-8")
    for name, baseline in BASELINES.items():
        if (folder / name).is_dir():
            page = with_block(page, name, block(folder / name, name, baseline))
        else:
            print(f"{folder / name}: no such sweep; its part of the page stays as it is")
    PAGE.write_text(page, "utf-8")


def with_block(page: str, name: str, lines: Iterable[str]) -> str:
    """The page with other lines between its marks NAME and end."""
    marks = rf"(<!-- {name} -->\n).*?(\n<!-- end -->)"
    page, count = re.subn(marks, lambda found: found[1] + "\n".join(lines) + found[2], page, flags=re.DOTALL)
    assert count == 1, f"docs/studies.md has no block {name}"
    return page


def block(sweep: Path, name: str, baseline: str) -> Iterator[str]:
    """The table, the verdicts and the figures of a study."""
    comparison = collect([str(sweep)])
    runs = runs_table(comparison)
    yield f"| {comparison.keys[0]} | runs done | {' | '.join(COLUMNS.values())} |"
    yield "|---|---|" + "---|" * len(COLUMNS)
    for configuration in comparison.configurations:
        mine = runs[runs["configuration"] == configuration]
        done = mine[mine["counted"]]
        cells = [spread(done[metric]) for metric in COLUMNS]
        label = configuration.removeprefix(f"{comparison.keys[0]}=")
        yield f"| {label} | {len(done)} of {len(mine)} | {' | '.join(cells)} |"
    yield ""
    for metric in TESTED:
        for difference in paired_differences(runs, metric, baseline):
            yield f"- {difference.sentence(metric)}"
    compared = len(comparison.configurations) - 1
    pairs = f"{compared} comparison{'s' * (compared > 1)} with {baseline}"
    yield f"- p and intervals are Bonferroni-corrected for the {pairs} in each metric"
    yield from (f"- {entry.path.name} is {entry.status}: {entry.reason}" for entry in comparison.unfinished)
    yield from (f"- {note}" for note in provenance_notes(comparison))
    for figure, width in SHOWN.items():
        source = sweep / "compare" / figure
        shrink(source, width, FIGURES / "studies" / f"{name}_{figure}")
        yield f"\n![{name}: {source.stem.replace('_', ' ')}](figures/studies/{name}_{figure})"


def spread(values: pd.Series) -> str:
    """Mean and standard deviation over the seeds."""
    if values.empty:
        return "–"
    return f"{values.mean():.2%}" + (f" ± {100 * values.std():.2f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
