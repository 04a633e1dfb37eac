"""The zoo's numbers: trains the recipes of conf/experiment, evaluates them, keeps small records, writes RESULTS.md.

    CNNLAB_DATA=DIR python benchmarks/zoo.py run [RECIPE …] [--output outputs/zoo]
    python benchmarks/zoo.py table [--check]

`run` trains every seed that benchmarks/zoo.yaml asks for (hours for all recipes), resumes runs that were cut,
evaluates each model on the splits named there and copies run.json, metrics.csv and the figures, a few kB in all, to
results/RECIPE/SEED/. A run that is complete is evaluated again, not trained again. `table` makes RESULTS.md and the
lines `# Measured:` in conf/experiment/ from results/ alone; `--check` changes nothing and fails where they are stale.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cnnlab.compare.statistics import mean_interval

ROOT = Path(__file__).parents[1]
EXPERIMENTS = ROOT / "conf" / "experiment"
RESULTS = ROOT / "results"
TABLE = ROOT / "RESULTS.md"
NOT_PUBLISHED = "—"
LEAST_SEEDS = 3
"""That a row needs to claim anything."""
PRIVATE = ("working_directory", "pid")
"""What run.json tells about a machine that nobody else needs."""


@dataclass(frozen=True)
class Recipe:
    """One line of benchmarks/zoo.yaml.

    Attributes:
        name: of the file in conf/experiment/.
        published: the published accuracy.
        conditions: under which it was published, where ours differ or a reader must know.
        target: the accuracy to reach in the first of the views, 0 to 1; None where there is none.
        seeds: what to train.
        views: what to evaluate: a split's name, or split-tta.
        overrides: of the training, besides the recipe and the seed.
        note: what a reader must know.
        held_out: test images for each that trains, where each seed draws its own; 0 where all are tested on the same.
    """

    name: str
    published: str
    conditions: str = ""
    target: float | None = None
    seeds: tuple[int, ...] = (0,)
    views: tuple[str, ...] = ("test",)
    overrides: tuple[str, ...] = ()
    note: str = ""
    held_out: float = 0.0


@dataclass
class Measured:
    """The runs of a recipe that results/ holds."""

    records: list[dict[str, Any]] = field(default_factory=list)
    accuracies: dict[str, list[float]] = field(default_factory=dict)
    minutes: list[float] = field(default_factory=list)


def load_recipes() -> dict[str, Recipe]:
    entries = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    return {
        name: Recipe(name, **{key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()})
        for name, entry in entries.items()
    }


def run(recipe: Recipe, output: Path) -> None:
    """Train, or resume, every seed of a recipe; evaluate each and keep its record."""
    for seed in recipe.seeds:
        directory = output / f"{recipe.name}-{seed}"
        record = directory / "run.json"
        if not record.exists():
            given = [f"experiment={recipe.name}", f"seed={seed}", *recipe.overrides]
            cnnlab("train", *given, f"hydra.run.dir={directory}", "trainer.progress=plain")
        elif json.loads(record.read_text())["status"] != "completed":
            cnnlab("train", f"resume={directory}")
        for view in recipe.views:
            split, _, tta = view.partition("-")
            cnnlab("eval", f"run={directory}", f"split={split}", f"tta={tta or 'none'}")
        keep(recipe, directory, seed)


def keep(recipe: Recipe, directory: Path, seed: int) -> None:
    """Copy what a reader of RESULTS.md may want to check."""
    target = RESULTS / recipe.name / str(seed)
    target.mkdir(parents=True, exist_ok=True)
    record = public(json.loads((directory / "run.json").read_text()))
    if earlier := record.get("earlier_sessions"):
        record["earlier_sessions"] = [public(session) for session in earlier]
    write_record(target / "run.json", record)
    shutil.copyfile(directory / "metrics.csv", target / "metrics.csv")
    for view in recipe.views:
        figures = json.loads((directory / "eval" / view / "metrics.json").read_text())
        figures["model"] = Path(figures["model"]).name
        write_record(target / f"{view}.json", figures)


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write JSON in which the folder of the data is called as everybody may call his."""
    text = json.dumps(record, indent=2) + "\n"
    if folder := os.environ.get("CNNLAB_DATA"):
        text = text.replace(str(Path(folder).absolute()), "${oc.env:CNNLAB_DATA}")
    path.write_text(text)


def public(record: dict[str, Any]) -> dict[str, Any]:
    """What a run's record, or that of one of its sessions, says without the places and names of the machine."""
    kept = {key: value for key, value in record.items() if key not in PRIVATE}
    if "host" in kept:
        kept["host"] = {key: value for key, value in kept["host"].items() if key != "name"}
    words = [
        "resume=RUN" if word.startswith("resume=") else word
        for word in shlex.split(kept["command"])
        if not word.startswith(("hydra.run.dir=", "trainer.progress="))
    ]
    return kept | {"command": shlex.join(words)}


def cnnlab(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "cnnlab", *arguments], check=True, stdout=subprocess.DEVNULL)


def measured(recipe: Recipe) -> Measured:
    """Read what results/ holds of a recipe."""
    found = Measured()
    for folder in sorted((RESULTS / recipe.name).glob("*"), key=lambda path: int(path.name)):
        found.records.append(json.loads((folder / "run.json").read_text()))
        rows = (folder / "metrics.csv").read_text().splitlines()
        column = rows[0].split(",").index("seconds")
        found.minutes.append(sum(float(row.split(",")[column]) for row in rows[1:]) / 60)
        for view in recipe.views:
            accuracy = json.loads((folder / f"{view}.json").read_text())["accuracy"]
            found.accuracies.setdefault(view, []).append(accuracy)
    return found


def percent(values: list[float]) -> str:
    """Mean and standard deviation of accuracies, and how many there are."""
    spread = f" ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.2f} %{spread} (n = {len(values)})"


def interval(values: list[float], held_out: float = 0.0) -> tuple[float, float] | None:
    """In which the mean over ever more seeds lies, with 95 % confidence; None for fewer than three."""
    return mean_interval(values, "accuracy", held_out=held_out) if len(values) >= LEAST_SEEDS else None


def verdict(values: list[float], target: float, held_out: float = 0.0) -> str:
    """Whether the seeds say that the mean is above the target, or below it."""
    limits = interval(values, held_out)
    if limits is None:
        return f"fewer than {LEAST_SEEDS} seeds"
    if limits[0] >= target:
        return "reached"
    return "missed" if limits[1] < target else "not distinguishable"


def hardware(records: list[dict[str, Any]]) -> str:
    """What the runs were trained on; where runs differ, each machine or precision once."""
    machines: dict[str, list[str]] = {}
    for record in records:
        host = record["host"]
        machine = ", ".join(
            part for part in (f"{host['cores']} core{'s' * (host['cores'] > 1)}", host.get("processor")) if part
        )
        precisions = machines.setdefault(machine, [])
        if record["precision"] not in precisions:
            precisions.append(record["precision"])
    return "; ".join(f"{machine}, {' and '.join(precisions)}" for machine, precisions in machines.items())


def summary(recipe: Recipe, found: Measured) -> str:
    """The comment line in the recipe's file."""
    published = f" Published: {recipe.published}." if recipe.published != NOT_PUBLISHED else ""
    if not found.records:
        return f"# Measured: not run to its end.{published}"
    parts = [f"{view} {percent(values)}" for view, values in found.accuracies.items()]
    minutes = f"{statistics.median(found.minutes):.0f} min on {hardware(found.records)}"
    changed = ", with what RESULTS.md says is other" if recipe.overrides else ""
    return f"# Measured: {', '.join(parts)}{changed}; {minutes}.{published}"


def table(recipes: dict[str, Recipe]) -> str:
    """The text of RESULTS.md."""
    head = (
        "| recipe | parameters | published | published conditions | to reach | measured | 95 % interval | verdict "
        "| minutes | hardware |\n"
        "|---|---|---|---|---|---|---|---|---|---|"
    )
    rows, notes = [], []
    for recipe in recipes.values():
        found = measured(recipe)
        record = found.records[0] if found.records else None
        first = found.accuracies.get(recipe.views[0], [])
        limits = interval(first, recipe.held_out)
        cells = [
            f"`{recipe.name}`",
            f"{record['total_params']:,}" if record else "",
            recipe.published,
            recipe.conditions,
            f"{100 * recipe.target:g} %" if recipe.target else "",
            "; ".join(f"{view} {percent(values)}" for view, values in found.accuracies.items()) or "not run",
            f"{100 * limits[0]:.2f} to {100 * limits[1]:.2f} %" if limits else "",
            verdict(first, recipe.target, recipe.held_out) if first and recipe.target else "",
            f"{statistics.median(found.minutes):.1f}" if found.minutes else "",
            hardware(found.records),
        ]
        rows.append("| " + " | ".join(cells) + " |")
        if recipe.note:
            notes.append(f"- `{recipe.name}`: {recipe.note}")
    return INTRODUCTION + "\n".join([head, *rows]) + "\n\n" + "\n".join(notes) + "\n"


INTRODUCTION = """# Results

Every figure comes from a run of `cnnlab train experiment=RECIPE`, evaluated by `cnnlab eval`; the records of the runs
are in `results/RECIPE/SEED/`. This page is made from them by `python benchmarks/zoo.py table`; the runs are made again
by `CNNLAB_DATA=DIR python benchmarks/zoo.py run RECIPE`. Accuracies are means ± standard deviations over seeds.

Three seeds or more have a 95 % interval of their mean (Student's t on the scale of the logit, as in `cnnlab compare`),
of the first split named, and a verdict: the number was reached where the whole interval is at it or above, missed where
it is below, else the two are not distinguishable. Fewer seeds are reported without a claim.

CIFAR-10 is the published one, pixel for pixel. Cats and dogs are 2,000 training and 1,000 validation photographs, and
there is no test split. Minutes are the whole training's, with validation and checkpoints, at the median seed, on
machines that were also busy with other things.

"""


def header(path: Path, line: str) -> str:
    """A recipe's text with its line `# Measured:` replaced; it is the last of the opening comments."""
    text = re.sub(r"^# Measured:.*\n", "", path.read_text(), flags=re.MULTILINE)
    lines = text.splitlines(keepends=True)
    last = next(number for number, other in enumerate(lines) if not other.startswith("#"))
    return "".join([*lines[:last], line + "\n", *lines[last:]])


def write(files: dict[Path, str], check: bool) -> None:
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    if check and stale:
        sys.exit(f"stale, run `python benchmarks/zoo.py table`: {', '.join(str(path.name) for path in stale)}")
    for path in stale:
        path.write_text(files[path])


def main() -> None:
    recipes = load_recipes()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="train and evaluate recipes")
    runner.add_argument("recipes", nargs="*", metavar="RECIPE", help=f"of {', '.join(recipes)}; all if none is named")
    runner.add_argument("--output", type=Path, default=ROOT / "outputs" / "zoo")
    maker = commands.add_parser("table", help="write RESULTS.md and the recipes' headers from results/")
    maker.add_argument("--check", action="store_true", help="only tell whether they are up to date")
    options = parser.parse_args()
    if options.command == "run":
        unknown = set(options.recipes) - set(recipes)
        if unknown:
            parser.error(f"no such recipe: {', '.join(sorted(unknown))}; there are {', '.join(recipes)}")
        for name in options.recipes or recipes:
            run(recipes[name], options.output)
    else:
        files = {TABLE: table(recipes)}
        for recipe in recipes.values():
            path = EXPERIMENTS / f"{recipe.name}.yaml"
            files[path] = header(path, summary(recipe, measured(recipe)))
        write(files, options.check)


if __name__ == "__main__":
    main()
