"""Finding and projecting the top nine images of 16 channels: images per second, and memory against their number.

    CNNLAB_DATA=DIR python benchmarks/deconvnet.py [--dataset cifar10] [--images 2500,10000,40000] [--rounds 3]

The channels are of several layers, from the first to the last, of all_cnn_c on CIFAR-10 or mnist_cnn on MNIST, with
random weights. A plain forward pass over the same batches, in turns with the search, is the limit; tracing is part of
the search and of the projecting only. Each number of images has a process of its own, whose peak of resident memory is
taken after a forward pass and again at the end; beyond the dataset the images are repeated, so that only what is
kept per image could make a difference.
"""

import argparse
import itertools
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from cnnlab.data.cifar import cifar10
from cnnlab.data.dataset import Split
from cnnlab.data.mnist import mnist
from cnnlab.evaluation.predictions import image_batches
from cnnlab.models.all_cnn_c import all_cnn_c
from cnnlab.models.mnist_cnn import mnist_cnn
from cnnlab.models.receptive_field import receptive_fields
from cnnlab.visualize.attribution.projection import projector
from cnnlab.visualize.feature_visualization.top_activations import images_at_a_time, top_activations
from cnnlab.visualize.methods.deconvnet import project_top
from cnnlab.visualize.subject import pixels_to_logits

TOP = 9
CHANNELS = {  # of which layers how many
    "cifar10": {"conv1_act": 4, "conv3_act": 4, "conv6_act": 4, "conv9": 4},
    "mnist": {"conv1_act": 5, "conv2_act": 5, "conv3_act": 6},
}
MIB = 2**20


def main() -> None:
    options = parse_arguments()
    if options.alone:
        measure(options.dataset, int(options.images), options.rounds)
        return
    columns = ("images", "forward/s", "search/s", "share", "projecting 144", "forward's peak", "peak")
    print("  ".join(f"{column:>14}" for column in columns), flush=True)
    for count in options.images.split(","):
        command = [sys.executable, __file__, "--alone", "--dataset", options.dataset, "--images", count]
        subprocess.run([*command, "--rounds", str(options.rounds)], check=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=CHANNELS, default="cifar10")
    parser.add_argument("--images", default="2500,10000,40000", help="how many, separated by commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="measure one number of images in this process")
    return parser.parse_args()


def measure(dataset: str, count: int, rounds: int) -> None:
    """Print one line: the median of the rounds."""
    network, split = prepare(dataset)
    chosen = {name: list(range(channels)) for name, channels in CHANNELS[dataset].items()}
    forward = tf.function(network, autograph=False)
    once(forward, split, count)
    before = peak()
    found = top_activations(network, chosen, batches(split, count), TOP)
    seconds: dict[str, list[float]] = {"forward": [], "search": []}
    for _ in range(rounds):
        seconds["forward"].append(timed(lambda: once(forward, split, count)))
        seconds["search"].append(timed(lambda: top_activations(network, chosen, batches(split, count), TOP)))
    fields = receptive_fields(network)

    def project() -> None:
        for name, top in found.items():
            within = replace(top, images=top.images % len(split))
            project_top(projector(network, name), within, fields[name], split, np.arange(len(split)))

    projecting = timed(project)
    speed = {way: count / statistics.median(values) for way, values in seconds.items()}
    cells = (
        f"{count:,}",
        f"{speed['forward']:,.0f}",
        f"{speed['search']:,.0f}",
        f"{speed['search'] / speed['forward']:.0%}",
        f"{projecting:.1f} s",
        f"{before:,.0f} MiB",
        f"{peak():,.0f} MiB",
    )
    print("  ".join(f"{cell:>14}" for cell in cells), flush=True)


def prepare(dataset: str) -> tuple[keras.Model, Split]:
    keras.utils.set_random_seed(0)
    read, build = {"cifar10": (cifar10, all_cnn_c), "mnist": (mnist, mnist_cnn)}[dataset]
    split = read().splits["test"]
    return pixels_to_logits(build(split.images.shape[1:], 10)), split


def batches(split: Split, count: int) -> Iterator[np.ndarray]:
    """`count` images, those of the split again and again."""
    size = images_at_a_time(split.images.shape[1:])
    endless = itertools.chain.from_iterable(image_batches(split.images, size) for _ in itertools.count())
    while count > 0:
        batch = next(endless)[:count]
        count -= len(batch)
        yield batch


def once(forward: Callable[[tf.Tensor], tf.Tensor], split: Split, count: int) -> None:
    for batch in batches(split, count):
        forward(tf.cast(batch, tf.float32))


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def peak() -> float:
    """The most resident memory so far, in MiB; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


if __name__ == "__main__":
    main()
