"""Two runs side by side: in what they differ, and on which images."""

import logging
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf
from statsmodels.stats.contingency_tables import mcnemar

from cnnlab.compare.collect import run_names
from cnnlab.compare.notes import circumstances
from cnnlab.compare.tables import measured
from cnnlab.config.flat import flat
from cnnlab.config.types import shown
from cnnlab.errors import UserError
from cnnlab.evaluation.confusion import draw_confusion_difference
from cnnlab.runs.evaluations import Evaluation, read_evaluations
from cnnlab.runs.files import write_table
from cnnlab.runs.run import Run

log = logging.getLogger(__name__)

SHOWN = 12
"""Images in a gallery."""

PREDICTIONS = "predictions.csv"
"""The table of an evaluation that says what the model took each image for."""


@dataclass(frozen=True)
class Disagreement:
    """How the predictions of two models on the same images differ.

    Attributes:
        split: whose images.
        names: of the runs.
        n: images.
        correct: images that the first gets right.
        alone: images that only the first, and only the second gets right.
        p: exact two-sided McNemar test of the two being equally right.
        images: one row per image that one alone gets right: index, file (of datasets of files), true, first, second:
            what the runs predicted, first_confidence, second_confidence, right: which of the two is.
    """

    split: str
    names: tuple[str, str]
    n: int
    correct: int
    alone: tuple[int, int]
    p: float
    images: pd.DataFrame

    def sentence(self, confidence: float) -> str:
        """The verdict in words."""
        first, second = self.names
        counts = f"{first} alone gets {self.alone[0]:,} right, {second} alone {self.alone[1]:,}"
        verdict = f"McNemar's test: p = {self.p:.2g}"
        if self.p >= 1 - confidence:
            verdict += ", not distinguishable"
        return f"of the {self.n:,} images of the {self.split} split {counts} ({verdict})"


@dataclass(frozen=True)
class Pair:
    """What a comparison of two runs has found.

    Attributes:
        differing: see `what_differs`.
        figures: PNGs.
        sentences: verdicts in words.
    """

    differing: pd.DataFrame
    figures: list[Path]
    sentences: list[str]


def write_pair(first: Run, second: Run, folder: Path, confidence: float) -> Pair:
    """Write what_differs.csv and, of every split that both were evaluated on, disagreements-SPLIT.csv and figures.

    Args:
        first, second: the runs.
        folder: where to write.
        confidence: 1 - the level of McNemar's test.
    """
    differing = what_differs(first, second)
    write_table(folder / "what_differs.csv", differing)
    figures, sentences = [], []
    for found in disagreements(first, second):
        write_table(folder / f"disagreements-{found.split}.csv", found.images)
        figures.append(folder / f"confusion_difference-{found.split}.png")
        _draw_differences(first, second, found.split, figures[-1])
        figures += _draw_images(first, found, folder)
        sentences.append(found.sentence(confidence))
    sentences += [line for pair in _evaluated_alike(first, second) for line in outdated([first, second], pair)]
    names = " and ".join(run_names(first, second))
    hint = "cnnlab eval run=… of both does that where their splits agree"
    return Pair(differing, figures, sentences or [f"{names} were not evaluated on the same images; {hint}"])


def what_differs(first: Run, second: Run) -> pd.DataFrame:
    """Everything two runs differ in.

    Returns:
        kind (configuration, circumstances or result), key, first, second; what one of them lacks is empty.
    """
    kinds = {
        "configuration": [_settings(run) for run in (first, second)],
        "circumstances": [circumstances(run) for run in (first, second)],
        "result": [measured(run) for run in (first, second)],
    }
    rows = []
    for kind, (one, other) in kinds.items():
        for key in dict.fromkeys([*one, *other]):
            texts = [_text(values[key]) if key in values else "" for values in (one, other)]
            if texts[0] != texts[1]:
                rows.append((kind, key, *texts))
    return pd.DataFrame(rows, columns=["kind", "key", "first", "second"])


def disagreements(first: Run, second: Run) -> Iterator[Disagreement]:
    """Compare what two runs predicted, for every split on which `cnnlab eval` evaluated both on the same images.

    Evaluations of an earlier model of either run are left out.

    After McNemar, "Note on the sampling error of the difference between correlated proportions or percentages" (1947),
    by the exact binomial distribution.
    """
    names = run_names(first, second)
    for one, other in _evaluated_alike(first, second):
        tables = one.folder / PREDICTIONS, other.folder / PREDICTIONS
        if not (one.is_outdated or other.is_outdated) and (found := disagreement(one.folder.name, names, tables)):
            yield found


def _evaluated_alike(first: Run, second: Run) -> Iterator[tuple[Evaluation, Evaluation]]:
    """The evaluations of two runs on what is the same split as far as is known without looking at the tables."""
    others = {other.folder.name: other for other in read_evaluations(second)}
    for one in read_evaluations(first):
        other = others.get(one.folder.name)
        if other is None or not all((each.folder / PREDICTIONS).exists() for each in (one, other)):
            continue
        data = _data(one)
        if data != _data(other) or ("changed" not in data and _have_other_images(first, second, data["split"])):
            continue
        if _drawing(first, one.folder.name) != _drawing(second, one.folder.name):
            continue  # classes that lie in order have equal labels in either draw
        yield one, other


def outdated(runs: Sequence[Run], evaluations: Sequence[Evaluation]) -> list[str]:
    """A sentence on each evaluation that is of an earlier model of its run, with the command that makes it anew."""
    return [
        f"{each.folder} is of an earlier model than {run.best_model.name} is now, so its predictions are not compared; "
        f"evaluate again: {_command(run, each.figures)}"
        for run, each in zip(runs, evaluations, strict=True)
        if each.is_outdated
    ]


def _command(run: Run, figures: Mapping[str, Any]) -> str:
    """The command that makes an evaluation anew."""
    given = {"run": run.path, "split": figures["split"]}
    if (views := figures.get("tta", "none")) != "none":
        names = views.split("-")
        given["tta"] = names[0] if len(names) == 1 else f"[{','.join(names)}]"
    if figures.get("backend"):
        given["backend"] = figures["backend"]
    given |= {key: "null" if value is None else value for key, value in (figures.get("changed") or {}).items()}
    return shlex.join(["cnnlab", "eval", *(f"{key}={value}" for key, value in given.items())])


def disagreement(split: str, names: tuple[str, str], tables: tuple[Path, Path]) -> Disagreement | None:
    """Compare two tables predictions.csv; None where they are not of the same images.

    Args:
        split: whose images they are, as it is called in words.
        names: of the two.
        tables: the files.
    """
    one, two = map(_predictions, tables)
    if not all(one[column].equals(two[column]) for column in ("index", "true")) or _other_files(one, two):
        return None
    right = (one["predicted"] == one["true"], two["predicted"] == two["true"])
    alone = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    p = mcnemar([[0, alone[0]], [alone[1], 0]], exact=True).pvalue if any(alone) else 1.0
    columns = {name: one[name] for name in ("index", "file", "true") if name in one}
    for name, predictions in (("first", one), ("second", two)):
        columns |= {name: predictions["predicted"], f"{name}_confidence": predictions["confidence"]}
    table = pd.DataFrame(columns)
    table["right"] = right[0].map({True: "first", False: "second"})
    return Disagreement(split, names, len(one), int(right[0].sum()), alone, float(p), table[right[0] != right[1]])


def _other_files(one: pd.DataFrame, two: pd.DataFrame) -> bool:
    """Whether the names of the files differ, wherever their folders lie."""
    if "file" not in one or "file" not in two:
        return False
    return [Path(file).name for file in one["file"]] != [Path(file).name for file in two["file"]]


def _draw_differences(first: Run, second: Run, split: str, path: Path) -> None:
    """The confusion matrix of the second run minus that of the first."""
    counts = [
        pd.read_csv(run.path / "eval" / split / "confusion_matrix.csv", index_col=0, keep_default_na=False).rename(
            index=str
        )
        for run in (first, second)
    ]
    more = counts[1].sub(counts[0], fill_value=0).fillna(0).astype(int)  # one may have outputs that the other has not
    names = run_names(first, second)
    draw_confusion_difference(more, path, f"{split}: images of {names[1]} minus those of {names[0]}")


def _draw_images(run: Run, found: Disagreement, folder: Path) -> Iterator[Path]:
    """For each of two runs a gallery of what it alone gets right: those that the other is surest to be something else.

    Nothing is drawn where the images are not at hand.
    """
    from cnnlab.data.fingerprint import fingerprints  # TensorFlow, only where images are shown
    from cnnlab.data.load import load_dataset
    from cnnlab.evaluation.gallery import draw_gallery, pick, whereabouts

    figures = next(each.figures for each in read_evaluations(run) if each.folder.name == found.split)
    try:
        if figures.get("changed"):
            raise UserError("they are not the run's own")
        dataset = load_dataset(run.config.dataset, run.config.seeds.split)
        before = run.record.get("fingerprints", {}).get(figures["split"])
        if before not in (None, fingerprints(dataset).get(figures["split"])):
            raise UserError("they are no longer those that the run was made with")
        images = dataset.splits[figures["split"]].images
    except UserError as error:
        log.warning("the images of the %s split are not shown: %s", found.split, error)
        return
    first, second = found.names
    for right, name, wrong, other in (("first", first, "second", second), ("second", second, "first", first)):
        alone = found.images[found.images["right"] == right].nlargest(SHOWN, f"{wrong}_confidence")
        shares = (f" · {share:.0%}" for share in alone[f"{wrong}_confidence"])
        indices = alone["index"].to_numpy()
        captions = list(zip(alone[wrong], shares, alone["true"], whereabouts(images, indices, indices), strict=True))
        path = folder / f"only_{right}-{found.split}.png"
        title = f"{found.split}: what {name} alone gets right, and what {other} says (red)"
        draw_gallery(pick(images, indices), captions, path, title, f"No image that {other} gets wrong")
        yield path


def _data(evaluation: Evaluation) -> dict[str, Any]:
    """What was evaluated: the split, and the root where the data are not the run's own."""
    figures = evaluation.figures
    return {key: figures.get(key) for key in ("split", *(("changed", "root") if figures.get("changed") else ()))}


def _have_other_images(first: Run, second: Run, split: str) -> bool:
    """Whether a split of two runs' own data is known to be of other files, or of other labels."""
    one, two = (run.record.get("fingerprints", {}).get(split) for run in (first, second))
    return None not in (one, two) and one != two


def _drawing(run: Run, folder: str) -> list[Any]:
    """What a split of the run's own data was drawn by: a published one by nothing."""
    dataset, split = run.config.dataset, folder.partition("-")[0]
    test, folds, validation = dataset.get("test_fraction"), dataset.get("folds"), dataset.validation
    test_draw = [test] if test is not None else []
    drawn = [folds, dataset.get("fold")] if folds is not None else [validation]
    rest_draw = test_draw + (drawn if folds is not None or isinstance(validation, float) else [])
    draw = test_draw if split == "test" else rest_draw
    return [*draw, run.config.seeds.split] if draw else []


def _predictions(path: Path) -> pd.DataFrame:
    """Names of classes stay text, whatever they look like."""
    return pd.read_csv(path, dtype={"true": str, "predicted": str}, keep_default_na=False)


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else shown(value)


def _settings(run: Run) -> dict[str, object]:
    return flat(OmegaConf.to_container(run.config, resolve=True))
