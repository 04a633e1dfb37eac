"""How fast all filters of mnist_cnn ascend together, one at a time, and with tf-keras-vis.

    python benchmarks/activation_max.py [--rounds 3] [--iterations 300] [--sampled 3]

The three take turns in one process. One filter at a time is timed on a few filters of each layer and multiplied by
how many there are, once the compiled function is warm; so is tf-keras-vis, which gets the whole batch of a layer, the
same scores and plain gradients: no jitter, no penalties, nothing that only one of them does.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import keras
import tensorflow as tf

from cnnlab.models.mnist_cnn import mnist_cnn
from cnnlab.visualize.feature_visualization.ascent import Ascent, ascend, patterns_per_chunk, starting_noise
from cnnlab.visualize.layers import computing_layers
from cnnlab.visualize.methods.activation_max import filter_score
from cnnlab.visualize.subject import pixels_to_logits

LAYERS = ("conv1", "conv2", "conv3")
SHAPE = (28, 28, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--sampled", type=int, default=3, help="filters of each layer that ascend alone")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    network = pixels_to_logits(mnist_cnn(SHAPE, 10))
    counts = {name: computing_layers(network)[name].output.shape[-1] for name in LAYERS}
    ways = {
        "cnnlab, a layer at once": lambda iterations: together(network, counts, iterations),
        "cnnlab, one at a time": lambda iterations: alone(network, counts, iterations, options.sampled),
        "tf-keras-vis, a layer at once": lambda iterations: tf_keras_vis(network, counts, iterations),
    }
    seconds = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, run in ways.items():
            seconds[name].append(run(options.iterations))
    ours = seconds["cnnlab, a layer at once"]
    print(f"{sum(counts.values())} filters, {options.iterations} iterations, {options.rounds} rounds; median seconds")
    for name, values in seconds.items():
        ratio = statistics.median(value / first for value, first in zip(values, ours, strict=True))
        print(f"{name:32}{statistics.median(values):9.2f}{ratio:8.1f} times")


def together(network: keras.Model, counts: dict[str, int], iterations: int) -> float:
    """Seconds for all filters of all layers, tracing and compilation included, as a person waits for them."""
    return timed(lambda: [climb(network, name, list(range(count)), iterations) for name, count in counts.items()])


def alone(network: keras.Model, counts: dict[str, int], iterations: int, sampled: int) -> float:
    """Seconds for all filters if each ascends by itself; one compiled function per layer serves all of its filters."""
    total = 0.0
    for name, count in counts.items():
        whole = timed(lambda name=name: climb(network, name, list(range(sampled)), iterations, chunk=1))
        first = timed(lambda name=name: climb(network, name, [0], 1, chunk=1))  # tracing and compilation
        total += first + (whole - first) * count / sampled
    return total


def climb(network: keras.Model, name: str, filters: list[int], iterations: int, chunk: int | None = None) -> None:
    ascent = Ascent(iterations=iterations, starts=[0.0], contrast=0.1, jitter=0.0)
    noise = starting_noise(0, name, filters, SHAPE)
    chunk = chunk or patterns_per_chunk(network, ascent)
    ascend(filter_score(network, name, leaky=True), filters, noise, ascent, seed=0, chunk=chunk, what=name)


def tf_keras_vis(network: keras.Model, counts: dict[str, int], iterations: int) -> float:
    """Seconds for all filters of all layers with tf-keras-vis, all filters of a layer as one batch."""
    from tf_keras_vis.activation_maximization import ActivationMaximization

    def run() -> None:
        x = inputs = network.input
        for layer in _chain(network):
            x = layer(x)
            if layer.name.removesuffix("_act") in counts and layer.name.endswith("_act"):
                count = counts[layer.name.removesuffix("_act")]
                ActivationMaximization(keras.Model(inputs, x), clone=False)(
                    lambda outputs, count=count: [tf.reduce_mean(outputs[each, ..., each]) for each in range(count)],
                    seed_input=tf.random.stateless_uniform((count, *SHAPE), [0, 0], 100, 155),
                    input_modifiers=[],
                    regularizers=[],
                    steps=iterations,
                    optimizer=keras.optimizers.Adam(1.0),
                )

    return timed(run)


def _chain(network: keras.Model) -> list[keras.Layer]:
    return list(computing_layers(network).values())


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
