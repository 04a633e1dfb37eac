"""`cnnlab predict`: find images → classify → table and CSV."""

import csv
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from itertools import count
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnlab.data.classes import numbered_classes
from cnnlab.data.decode import decode_image
from cnnlab.data.folders import files_below
from cnnlab.data.summary import reasons
from cnnlab.errors import UserError
from cnnlab.evaluation.judged import class_count, load_best, run_classes
from cnnlab.evaluation.predictions import classifier
from cnnlab.runs.files import readable, write_atomically
from cnnlab.runs.run import Run
from cnnlab.training.devices import configure_runtime

log = logging.getLogger(__name__)

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif"})
"""What counts as an image in a folder that is given whole."""

WIDTH_WITHOUT_TERMINAL = 1000
"""Characters; wide enough for file names not to be folded."""


@dataclass(frozen=True)
class Prediction:
    """An image file and its most probable classes, the best first.

    Attributes:
        file: as it was found.
        classes: the names.
        probabilities: of these classes, each in [0, 1].
    """

    file: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]


def predict(config: DictConfig, directory: Path) -> None:
    """Classify image files with a run's best model; print a table, write a CSV and print where it is.

    Args:
        config: the resolved and validated configuration (conf/predict.yaml).
        directory: the run; without `config.output` the CSV goes to RUN/predict/.

    Raises:
        UserError: nothing matches `images`, no file can be decoded, `output` exists, or the run has no model.
    """
    configure_runtime(config.trainer)
    files = find_images([config.images] if isinstance(config.images, str) else config.images)
    output = _output(config.output, directory)
    run = Run.open(config.run)
    model = load_best(run, config.targets)
    class_names = run_classes(run) or numbered_classes(class_count(model))
    batch_size = config.batch_size or config.trainer.batch_size
    predictions = list(classify_files(model, files, class_names, batch_size, config.top))
    if not predictions:
        first = readable(files[0])
        raise UserError(f"images={config.images}: no image among the {len(files)} file(s), the first: {first}")
    for file in sorted(set(files) - {prediction.file for prediction in predictions}):
        log.warning("%s: cannot be decoded and was skipped", readable(file))
    _write_csv(output, predictions)
    _print_table(predictions)
    print(output)


def find_images(patterns: Sequence[str], key: str = "images") -> list[str]:
    """The files that names, folders (see `files_below`) and glob patterns stand for, each once.

    Args:
        patterns: names of files or folders, or glob patterns.
        key: of the configuration that gave them, for errors.

    Raises:
        UserError: one of `patterns` stands for no file.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            files = _images_below(path, key)
        elif path.is_file():
            files = [pattern]
        else:
            matches = glob(pattern, recursive=True)  # noqa: PTH207, Path.glob takes no absolute pattern
            files = [match for match in sorted(matches) if Path(match).is_file()]
        if not files:
            what = "holds no JPEG, PNG, BMP or GIF file" if path.is_dir() else "no such file, and no file matches"
            raise UserError(f"{key}={pattern}: {what}")
        found |= dict.fromkeys(files)
    return list(found)


def _images_below(folder: Path, key: str) -> list[str]:
    """The files below a folder that are called like images; what the search left out is told."""
    found = files_below(folder)
    images = [file for file in found.names if Path(file).suffix.lower() in SUFFIXES]
    skipped = Counter(found.skipped.values())
    if others := len(found.names) - len(images):
        skipped["not named as a JPEG, PNG, BMP or GIF image"] += others
    if skipped:
        log.warning("%s=%s: %d skipped (%s)", key, folder, skipped.total(), reasons(skipped))
    return images


def classify_files(
    model: keras.Model,
    files: Sequence[str],
    class_names: Sequence[str],
    batch_size: int,
    top: int,
) -> Iterator[Prediction]:
    """Classify the files that can be decoded, in order; the others are left out.

    Args:
        model: uint8 images (n, H, W, C) in, probabilities (n, K) out.
        files: image files of any size, grey or colour; they are brought to the model's input.
        class_names: K names.
        batch_size: images on the device at a time.
        top: how many classes to return per image.
    """
    classify = classifier(model)
    batches = (
        tf.data.Dataset.from_tensor_slices([os.fsencode(file) for file in files])
        .map(lambda file: (file, decode_image(file, model.input_shape[1:])), num_parallel_calls=tf.data.AUTOTUNE)
        .ignore_errors()
        .batch(batch_size)
        .prefetch(2)
    )
    for names, images in batches:
        probabilities = classify(images).numpy()
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        for file, row, order in zip(names.numpy(), probabilities, best, strict=True):
            classes = tuple(class_names[index] for index in order)
            yield Prediction(os.fsdecode(file), classes, tuple(float(row[index]) for index in order))


def _output(requested: str | None, directory: Path) -> Path:
    """The CSV to write: the one asked for, or the first free number in RUN/predict/."""
    if requested is None:
        folder = directory / "predict"
        return next(path for n in count(1) if not (path := folder / f"predictions-{n}.csv").exists())
    path = Path(requested)
    if path.exists():
        raise UserError(f"output={path}: exists; remove it or choose another file")
    return path


def _write_csv(path: Path, predictions: Sequence[Prediction]) -> None:
    """One row per file: file, class, probability, class_2, probability_2, …

    In UTF-8, but for file names that are not: these keep their bytes.
    """
    header = ["file", "class", "probability"]
    for place in range(2, len(predictions[0].classes) + 1):
        header += [f"class_{place}", f"probability_{place}"]
    text = {"newline": "", "encoding": "utf-8", "errors": "surrogateescape"}
    with write_atomically(path) as temporary, temporary.open("w", **text) as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for prediction in predictions:
            pairs = zip(prediction.classes, prediction.probabilities, strict=True)
            cells = [cell for name, probability in pairs for cell in (name, f"{probability:.6g}")]
            writer.writerow([prediction.file, *cells])


def _print_table(predictions: Sequence[Prediction]) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("class", overflow="fold")
    table.add_column("probability", justify="right", no_wrap=True)
    for place in range(2, len(predictions[0].classes) + 1):
        table.add_column(f"{place}.", overflow="fold")
    for prediction in predictions:
        best, *others = zip(prediction.classes, prediction.probabilities, strict=True)
        runners_up = [Text(f"{name} {probability:.1%}") for name, probability in others]
        table.add_row(Text(readable(prediction.file)), Text(best[0]), f"{best[1]:.1%}", *runners_up)
    Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL).print(table)
