"""What each augmentation costs: milliseconds per batch, and the images per second that a training loses by it.

    python benchmarks/augmentation.py [--batch-size 128] [--image-shape 32 32 3] [--images-per-second 1300]

Every YAML in conf/augmentation is measured alone on this machine, compiled with and without XLA. `none` is the price
of calling a compiled function on a batch; the others are given without it. The images lost are those of a training
that makes so many images per second without augmentation.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from hydra import compose, initialize_config_module
from rich.console import Console
from rich.table import Table

import cnnlab.conf
from cnnlab.augmentation.pipeline import Pipeline, build_pipeline
from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.data.dataset import Split

CLASSES = 10
ROUNDS, CALLS = 9, 20


def build(option: str, images: np.ndarray) -> Pipeline:
    """The pipeline of one option, fitted to the images."""
    shape = ",".join(str(side) for side in images.shape[1:])
    with initialize_config_module("cnnlab.conf", version_base="1.3"):
        config = compose("train", overrides=[f"augmentation={option}", f"dataset.image_shape=[{shape}]"])
    pipeline = build_pipeline(config.augmentation)
    pipeline.adapt(Split(images, np.zeros(len(images), np.int32)))
    return pipeline


def milliseconds(pipeline: Pipeline, images: np.ndarray, jit: bool) -> float:
    """Per batch: the median over rounds of several calls, none of which is waited for but the last."""
    size = len(images)
    indices = tf.range(size, dtype=tf.int64)

    @tf.function(jit_compile=jit)
    def call(images: tf.Tensor, targets: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return pipeline(
            images, targets, RandomStream(tf.stack([0, step]), size, 0, size, indices, tf.constant(0, tf.int64))
        )

    batch = tf.constant(images), tf.one_hot(indices % CLASSES, CLASSES)
    times = []
    for _ in range(ROUNDS + 1):  # the first compiles
        started = time.perf_counter()
        for step in range(CALLS):
            result, _ = call(*batch, tf.constant(step))
        result.numpy()
        times.append((time.perf_counter() - started) / CALLS)
    return 1000 * statistics.median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--image-shape", type=int, nargs=3, default=(32, 32, 3), metavar=("H", "W", "C"))
    parser.add_argument("--images-per-second", type=float, default=1300.0, help="of a training without augmentation")
    arguments = parser.parse_args()
    shape = (arguments.batch_size, *arguments.image_shape)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    table = Table("augmentation", title=f"batches of {shape[0]} images, {' × '.join(map(str, shape[1:]))}")
    for heading in ("ms per batch", "images/s lost", "ms with XLA", "images/s lost with XLA"):
        table.add_column(heading, justify="right")
    options = {path.stem for path in (Path(cnnlab.conf.__file__).parent / "augmentation").glob("*.yaml")} - {"none"}
    calls = {jit: milliseconds(build("none", images), images, jit) for jit in (False, True)}
    table.add_row("none", f"{calls[False]:.2f}", "", f"{calls[True]:.2f}", "")
    step = 1000 * shape[0] / arguments.images_per_second
    for option in sorted(options):
        cells = []
        for jit, call in calls.items():
            cost = max(milliseconds(build(option, images), images, jit) - call, 0)
            lost = arguments.images_per_second * cost / (step + cost)
            cells += [f"{cost:.2f}", f"{lost:,.0f}"]
        table.add_row(option, *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
