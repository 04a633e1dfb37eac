"""What each augmentation costs: milliseconds per batch and images per second, alone on this machine.

    python benchmarks/augmentation.py [--batch-size 128] [--image-shape 32 32 3]

Every YAML in conf/augmentation is measured, with every fill where it has one. Compare with `none`, which is
the price of calling a compiled function on a batch.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from hydra import compose, initialize_config_module
from rich.console import Console
from rich.table import Table

import cnnlab.conf
from cnnlab.augmentation.draws import Draws
from cnnlab.config.build import instantiate

FILLS = ("zero", "reflect", "nearest")
ROUNDS, CALLS = 15, 40


def overrides() -> Iterator[list[str]]:
    """The command-line overrides of every variant that is measured."""
    with initialize_config_module("cnnlab.conf", version_base="1.3"):
        for path in sorted((Path(cnnlab.conf.__file__).parent / "augmentation").glob("*.yaml")):
            option = f"augmentation={path.stem}"
            node = compose(overrides=[f"+{option}", "+dataset.image_shape=[32,32,3]"]).augmentation
            yield from ([option, f"augmentation.fill={fill}"] for fill in FILLS) if "fill" in node else [[option]]


def seconds_per_batch(variant: list[str], images: tf.Tensor, jit: bool) -> float:
    """The median over rounds of many calls, none of which is waited for but the last."""
    option, *knobs = variant
    shape = ",".join(str(side) for side in images.shape[1:])
    with initialize_config_module("cnnlab.conf", version_base="1.3"):
        config = compose(overrides=[f"+{option}", f"+dataset.image_shape=[{shape}]", *knobs])
    augmentation, batch_size = instantiate(config.augmentation), images.shape[0]

    @tf.function(jit_compile=jit)
    def call(images: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        return augmentation(images, Draws(tf.stack([0, step]), batch_size, 0, batch_size))

    times = []
    for _ in range(ROUNDS + 1):  # the first compiles
        started = time.perf_counter()
        for step in range(CALLS):
            result = call(images, tf.constant(step))
        result.numpy()
        times.append((time.perf_counter() - started) / CALLS)
    return statistics.median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--image-shape", type=int, nargs=3, default=(32, 32, 3), metavar=("H", "W", "C"))
    arguments = parser.parse_args()
    shape = (arguments.batch_size, *arguments.image_shape)
    images = tf.constant(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    table = Table("augmentation", title=f"batches of {shape[0]} images, {' × '.join(map(str, shape[1:]))}")
    for heading in ("ms per batch", "images/s", "ms with XLA", "images/s with XLA"):
        table.add_column(heading, justify="right")
    for variant in list(overrides()):
        seconds = [seconds_per_batch(variant, images, jit) for jit in (False, True)]
        cells = (cell for value in seconds for cell in (f"{1000 * value:.2f}", f"{shape[0] / value:,.0f}"))
        table.add_row(" ".join(variant), *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
