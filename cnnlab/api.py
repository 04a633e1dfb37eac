"""The Python interface: what `cnnlab` offers beside its commands, by the same functions.

    run = cnnlab.train("model=mnist_cnn", "trainer.epochs=5")
    run.metrics, run.evaluate("test"), run.predict("photos/*.jpg"), run.explain([3, 7], method="grad_cam")

Mistakes are `UserError`s with the one line that the command would print; a training may also raise `Diverged` or
`Interrupted` (Ctrl-C or the stop button of a notebook, after a checkpoint).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import pandas as pd
from markupsafe import Markup
from omegaconf import DictConfig

from cnnlab.config.compose import command_line, launch
from cnnlab.config.nearest import did_you_mean
from cnnlab.config.plugin_options import import_plugins_of, require_plugins
from cnnlab.config.targets import DEFAULT_PACKAGES, find_in_working_directory
from cnnlab.config.written import as_arguments
from cnnlab.data.as_files import Images, as_files, image_numbers
from cnnlab.errors import UserError
from cnnlab.reporting.page import render
from cnnlab.reporting.picture import Explanation, Picture
from cnnlab.runs.run import Run
from cnnlab.runtime.precision import own_precision
from cnnlab.runtime.startup import import_tensorflow

if TYPE_CHECKING:
    import keras

T = TypeVar("T")


def train(*arguments: str) -> "TrainedRun":
    """Train as `cnnlab train` with the same arguments does, byte for byte, in this process.

    Args:
        arguments: of the command, such as "model=all_cnn_c", "seed=1", or "resume=RUN". A sweep is no training: it is
            left to `cnnlab train -m`.

    Raises:
        UserError: the line that the command would print.
        Diverged: the loss or a weight became NaN or infinite.
        Interrupted: Ctrl-C or the stop button of a notebook, after a checkpoint.
    """

    def work(config: DictConfig, directory: Path) -> "TrainedRun":
        import keras

        from cnnlab.commands.train import train_run

        keras.utils.clear_session(free_memory=False)  # layers without a name are numbered as in a new process
        train_run(config, directory)
        return TrainedRun(Run.open(directory), list(config.targets))

    return _call("train", arguments, work)


def load_run(path: Path | str, targets: Sequence[str] = DEFAULT_PACKAGES) -> "TrainedRun":
    """Open a run directory.

    Args:
        path: of the run.
        targets: packages whose code a run may need, if you trust them, beside installed plug-ins; as `targets=` of the
            command line.

    Raises:
        UserError: it is no run.
    """
    return TrainedRun(Run.open(path), targets)


def runs(pattern: Path | str | Sequence[Path | str] = "outputs/**") -> pd.DataFrame:
    """A row per run, as in the runs.csv of `cnnlab compare`, after the column `path`.

    Args:
        pattern: a folder of a sweep or of a run, or a glob of such; ** for any depth.

    Raises:
        UserError: there are no runs.
    """
    from cnnlab.compare.collect import collect
    from cnnlab.compare.tables import runs_table

    comparison = collect([str(pattern)] if isinstance(pattern, str | Path) else [*map(str, pattern)])
    table = runs_table(comparison)
    table.insert(0, "path", [str(entry.path) for entry in comparison.entries])
    return table


def compare_runs(pattern: Path | str | Sequence[Path | str], **options: Any) -> "Comparison":
    """Compare runs as `cnnlab compare` does, which writes tables, figures and a page.

    Args:
        pattern: a folder of a sweep, or a glob of runs.
        options: keys of the command, such as by="best_val_accuracy" or baseline="initializer=default".

    Raises:
        UserError: the line that the command would print.
    """

    def work(config: DictConfig, directory: Path) -> Comparison:
        from cnnlab.commands.compare import compare_runs

        found = compare_runs(config, directory)
        return Comparison(found.folder, found.summary, tuple(found.verdicts), tuple(found.notes))

    return _call("compare", as_arguments({"runs": pattern} | options), work)


@dataclass(frozen=True, eq=False)  # tables have no one answer
class Comparison:
    """What runs have come to, side by side.

    Attributes:
        folder: with the tables, the figures and report.html.
        summary: a row per configuration: the mean over its seeds of the metric, and an interval.
        verdicts: sentences, each about a difference.
        notes: what to know of the numbers.
    """

    folder: Path
    summary: pd.DataFrame
    verdicts: tuple[str, ...]
    notes: tuple[str, ...]

    def figure(self, name: str) -> Picture:
        """A figure, such as "epochs"; see `TrainedRun.figure`."""
        return _picture(self.folder, name)

    def _repr_html_(self) -> str:
        table = self.summary.to_html(index=False, border=0, float_format="{:.4f}".format)
        return render("comparison.html", table=Markup(table), sentences=[*self.verdicts, *self.notes])


class TrainedRun:
    """A run directory and its model.

    Attributes:
        path: the directory.
        config: RUN/config.yaml, resolved.
        targets: see `load_run`.
    """

    def __init__(self, run: Run, targets: Sequence[str] = DEFAULT_PACKAGES):
        self._run = run
        self._loaded: tuple[int, keras.Model] | None = None
        self.path: Path = run.path
        self.config: DictConfig = run.config
        self.targets = list(targets)

    @property
    def record(self) -> dict[str, Any]:
        """What RUN/run.json says now, such as status, best, versions and machine."""
        self._refresh()
        return self._run.record

    @property
    def status(self) -> str:
        """running, completed, interrupted, diverged, failed or unknown."""
        self._refresh()
        return self._run.status.name

    @property
    def metrics(self) -> pd.DataFrame:
        """A row per epoch, from RUN/metrics.csv; empty before the first has ended."""
        return self._table("metrics.csv")

    @property
    def steps(self) -> pd.DataFrame:
        """A row per update, from RUN/steps.csv."""
        return self._table("steps.csv")

    @property
    def model(self) -> "keras.Model":
        """The best model so far, preprocessing included; uint8 images (n, H, W, C) in, probabilities (n, K) out, or
        (n, 1), those of the second class, for model.head=sigmoid. It is loaded once, and again when it is another.

        Raises:
            UserError: there is none yet, or it needs code that is not trusted.
        """
        self._refresh()
        require_plugins(self._run, "run", [f"targets={self.targets}"])
        find_in_working_directory(self.targets)
        import_tensorflow()
        from cnnlab.evaluation.load_model import best_model, load_best
        from cnnlab.runtime.devices import configure_runtime

        configure_runtime(self.config.trainer)
        written = best_model(self._run).stat().st_mtime_ns
        if self._loaded is None or self._loaded[0] != written:
            self._loaded = written, load_best(self._run, self.targets)
        return self._loaded[1]

    def predict(self, images: Images, *, top: int = 3, tta: str | Sequence[str] = "none") -> pd.DataFrame:
        """Classify images as `cnnlab predict` does: decoded, turned upright and resized alike.

        Args:
            images: files, or pixels, which count as a picture file of these pixels would.
            top: how many classes to tell of each.
            tta: views of an image to average, as the key `tta` of the command.

        Returns:
            A row per image, with file (not of pixels), status (ok, or why it has no class), class, probability,
            class_2, …

        Raises:
            UserError: the line that the command would print.
        """

        def work(config: DictConfig, directory: Path) -> pd.DataFrame:
            from cnnlab.commands.predict import predict_files
            from cnnlab.evaluation.prediction_table import prediction_frame

            return prediction_frame(predict_files(config))

        with as_files(images) as (pattern, names):
            table = self._call("predict", {"images": pattern, "top": top, "tta": tta}, work)
        if names is not None:
            table["file"] = [names[int(Path(file).parent.name)] for file in table["file"]]
        return table.drop(columns="file") if isinstance(images, np.ndarray) else table

    def evaluate(self, split: str = "test", **options: Any) -> dict[str, Any]:
        """Evaluate the best model as `cnnlab eval` does, which writes RUN/eval/SPLIT/ and the run's report.

        Args:
            split: test, validation or train.
            options: keys of the command, such as data="photos2" or tta="flip".

        Returns:
            The content of metrics.json.

        Raises:
            UserError: the line that the command would print.
        """

        def work(config: DictConfig, directory: Path) -> dict[str, Any]:
            from cnnlab.commands.eval import evaluate_split

            return evaluate_split(config, directory)[-1]

        return self._call("eval", {"split": split} | options, work)

    def explain(
        self, images: Images | int | Sequence[int] | np.ndarray | None = None, method: str = "grad_cam", **options: Any
    ) -> Explanation:
        """What a method of `cnnlab visualize` finds in images; the run's own figures stay as they are.

        Args:
            images: files or pixels; or how many to draw from the test split, else the validation, else the training
                images; or their positions there, a list or an array; None for as many as the method takes by itself,
                and for those that look at none, such as kernels.
            method: of conf/method: saliency, grad_cam, occlusion, feature_maps, …
            options: of the method, such as target="cat".

        Returns:
            Its arrays by name, shown in a notebook as its figure.

        Raises:
            UserError: the line that the command would print.
        """

        def work(config: DictConfig, directory: Path) -> Explanation:
            from cnnlab.runtime.devices import configure_runtime
            from cnnlab.visualize.draw import draw_method

            if "_target_" not in config.method:
                raise UserError(f"method={method}: is for cnnlab visualize, and here methods are explained one by one")
            configure_runtime(config.trainer)
            with TemporaryDirectory() as folder:
                draw_method(config, Path(folder))
                return _explanation(method, Path(folder))

        chosen: dict[str, Any] = {"method": method} | {f"method.{name}": value for name, value in options.items()}
        if images is None:
            return self._call("visualize", chosen, work)
        if (numbers := image_numbers(images)) is not None:
            return self._call("visualize", chosen | {"method.images": numbers}, work)
        with as_files(cast(Images, images)) as (pattern, _):
            return self._call("visualize", chosen | {"method.images": pattern}, work)

    def export(
        self, format: str | Sequence[str] = "saved_model", precision: str = "float32", **options: Any
    ) -> list[dict[str, Any]]:
        """Write the best model in other formats as `cnnlab export` does, to RUN/export/FORMAT/, compared with Keras.

        Args:
            format: saved_model, onnx or litert, or several of them.
            precision: float32; of onnx and litert also float16 or int8.
            options: keys of the command, such as tolerance=0.1.

        Returns:
            Of each format what RUN/export/report.json says of it: file (below RUN), bytes, largest_difference, …

        Raises:
            UserError: the line that the command would print.
        """

        def work(config: DictConfig, directory: Path) -> list[dict[str, Any]]:
            from cnnlab.commands.export import export_run

            return export_run(config)

        return self._call("export", {"format": format, "precision": precision} | options, work)

    def figure(self, name: str = "curves") -> Picture:
        """A figure of the run.

        Args:
            name: of its file, such as "curves", or with the folder where several have it: "eval/test/calibration".

        Raises:
            UserError: there is no such figure, or there are several.
        """
        return _picture(self.path, name)

    def __repr__(self) -> str:
        return f"<run {self.path}: {self.status}{self._best}>"

    def _repr_html_(self) -> str:
        curves = self.path / "plots" / "curves.png"
        rows = [
            ("status", " · ".join(filter(None, (self.status, self._run.status.reason)))),
            ("model", f"{self.config.model.name}, {self.record.get('total_params', 0):,} parameters"),
            ("dataset", self.config.dataset.name),
            ("best", self._best.removeprefix(", best ")),
            ("folder", str(self.path)),
        ]
        rows = [row for row in rows if row[1]]
        address = Picture("curves", curves.read_bytes()).address if curves.is_file() else None
        return render("notebook.html", name=self.config.name, rows=rows, curves=address)

    def _refresh(self) -> None:
        """Read again what another process may have written since."""
        self._run = Run.open(self.path)
        self.config = self._run.config

    @property
    def _best(self) -> str:
        best = self.record.get("best") or {}
        return f", best {best['monitor']} {best['value']:.4g} in epoch {best['epoch']}" if best.get("monitor") else ""

    def _table(self, name: str) -> pd.DataFrame:
        file = self.path / name
        return pd.read_csv(file) if file.is_file() else pd.DataFrame()

    def _call(self, command: str, options: Mapping[str, Any], work: Callable[[DictConfig, Path], T]) -> T:
        given = {"run": str(self.path), **options}
        if self.targets != DEFAULT_PACKAGES:
            given["targets"] = self.targets
        return _call(command, as_arguments(given), work)


def _call(command: str, arguments: Sequence[str], work: Callable[[DictConfig, Path], T]) -> T:
    """Compose and check the configuration of a command, and do its work in this process."""
    for argument in arguments:
        if not isinstance(argument, str):
            raise UserError(f'{argument!r}: give texts as on the command line, such as "trainer.epochs=3"')
        if argument.startswith("-"):
            raise UserError(f"{argument}: flags belong to the command line; give key=value")
    answers = []

    def task(config: DictConfig, directory: Path) -> None:
        import_tensorflow()
        import_plugins_of(config)
        with own_precision():
            answers.append(work(config, directory))

    with command_line(["cnnlab", command, *arguments]):
        launch(command, arguments, task, is_one_job=True)
    return answers[0]


def _picture(folder: Path, name: str) -> Picture:
    files = {file.relative_to(folder).with_suffix("").as_posix(): file for file in sorted(folder.rglob("*.png"))}
    found = {path: file for path, file in files.items() if "/." not in f"/{path}"}  # what a killed command left
    matching = [path for path in found if path == name or path.endswith(f"/{name}")]
    if len(matching) != 1:
        options = matching or list(found)
        what = "several figures are called so" if matching else f"{folder} has no such figure"
        hint = "" if matching else did_you_mean(name, [*options, *(path.rpartition("/")[2] for path in options)])
        raise UserError(f"figure={name}: {what}{hint}; figures: {', '.join(options) or 'none yet'}")
    return Picture(matching[0], found[matching[0]].read_bytes())


def _explanation(method: str, folder: Path) -> Explanation:
    arrays: dict[str, Any] = {}
    for file in sorted(folder.glob("*.npz")):
        with np.load(file) as content:
            arrays |= dict(content)
    pictures = [Picture(file.stem, file.read_bytes()) for file in sorted(folder.glob("*.png"))]
    return Explanation(method, arrays, tuple(pictures))
