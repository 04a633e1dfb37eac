"""Training speed of All-CNN-C on CIFAR-10: cnnlab, bare Keras `fit` with and without XLA, and PyTorch eager.

    CNNLAB_DATA=DIR python benchmarks/throughput.py --precision bfloat16 --rounds 3

Each implementation is a process of its own, and they take turns, so that a drifting machine meets all of them;
medians and ratios are printed. All train the same network at the same batch size and precision
with SGD and momentum; cnnlab augments (shift and flip, as configured) and logs every step, the others get
preloaded, unaugmented arrays and do neither. Warm-up (tracing, first steps) is left out of each figure. Last,
each speed is set against what the machine's own matrix product allows: 1.63 GFLOP per training image.
"""

import argparse
import csv
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

GFLOP_PER_IMAGE = 1.63  # All-CNN-C, forward and backward, 32×32×3
BATCH = 128
WARMUP = 10


def cnnlab_speed(precision: str, steps: int) -> float:
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(
            [
                *(sys.executable, "-m", "cnnlab", "train", "model=all_cnn_c", "dataset=cifar10"),
                *("augmentation=shift_flip", "optimizer=sgd", "optimizer.momentum=0.9", "optimizer.learning_rate=0.01"),
                *(f"trainer.precision={precision}", f"trainer.batch_size={BATCH}", "dataset.validation=none"),
                *(f"trainer.steps={steps + WARMUP}", "trainer.progress=none", f"hydra.run.dir={directory}/run"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with (Path(directory) / "run" / "metrics.csv").open() as file:
            return float(list(csv.DictReader(file))[-1]["images_per_second"])


def keras_speed(precision: str, steps: int, *, jit: bool) -> float:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    keras.config.set_dtype_policy({"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision])
    images, labels = preloaded(steps)
    model = keras_all_cnn_c(keras)
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=jit,
    )

    class Clock(keras.callbacks.Callback):
        started = 0.0

        def on_train_batch_end(self, batch, logs=None):
            if batch + 1 == WARMUP:
                self.started = time.perf_counter()

    clock = Clock()
    model.fit(images, labels, batch_size=BATCH, verbose=0, callbacks=[clock])
    return steps * BATCH / (time.perf_counter() - clock.started)


def torch_speed(precision: str, steps: int) -> float:
    import numpy as np
    import torch

    images, labels = preloaded(steps)
    batches = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    targets = torch.from_numpy(labels.astype("int64"))
    model = torch_all_cnn_c(torch).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    loss_of = torch.nn.CrossEntropyLoss()
    for step in range(steps + WARMUP):
        if step == WARMUP:
            started = time.perf_counter()
        rows = slice(step * BATCH, (step + 1) * BATCH)
        inputs = batches[rows].to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = loss_of(model(inputs), targets[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    loss.item()
    return steps * BATCH / (time.perf_counter() - started)


def matmul_speed(precision: str, steps: int) -> float:
    """GFLOP/s of a 4096³ matrix product, divided by the cost of an image: the images/s it would allow."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    a = tf.cast(tf.random.normal((4096, 4096)), precision)
    tf.linalg.matmul(a, a)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        tf.linalg.matmul(a, a).numpy()
        seconds.append(time.perf_counter() - started)
    return 2 * 4096**3 / 1e9 / statistics.median(seconds) / GFLOP_PER_IMAGE


def preloaded(steps: int):
    """float32 CIFAR-10 images and labels for all steps, in memory."""
    from cnnlab.data.cifar import cifar10

    split = cifar10().splits["train"]
    count = (steps + WARMUP) * BATCH
    rows = [index % len(split) for index in range(count)]
    return split.images[rows].astype("float32") / 255, split.labels[rows]


def keras_all_cnn_c(keras):
    layers = keras.layers
    stack = [keras.Input((32, 32, 3)), layers.Dropout(0.2)]
    for filters, size, stride, padding in ALL_CNN_C:
        stack.append(layers.Conv2D(filters, size, stride, padding, activation="relu"))
        if stride == 2:
            stack.append(layers.Dropout(0.5))
    return keras.Sequential([*stack, layers.GlobalAveragePooling2D(), layers.Activation("linear", dtype="float32")])


def torch_all_cnn_c(torch):
    nn = torch.nn
    stack, channels = [nn.Dropout(0.2)], 3
    for filters, size, stride, padding in ALL_CNN_C:
        stack += [nn.Conv2d(channels, filters, size, stride, size // 2 if padding == "same" else 0), nn.ReLU()]
        channels = filters
        if stride == 2:
            stack.append(nn.Dropout(0.5))
    return nn.Sequential(*stack, nn.AdaptiveAvgPool2d(1), nn.Flatten())


ALL_CNN_C = (
    *((96, 3, 1, "same"), (96, 3, 1, "same"), (96, 3, 2, "same")),
    *((192, 3, 1, "same"), (192, 3, 1, "same"), (192, 3, 2, "same")),
    *((192, 3, 1, "valid"), (192, 1, 1, "valid"), (10, 1, 1, "valid")),
)
IMPLEMENTATIONS = {
    "cnnlab": cnnlab_speed,
    "keras": partial(keras_speed, jit=False),
    "keras-jit": partial(keras_speed, jit=True),  # what Keras chooses where nobody says
    "torch": torch_speed,
    "matmul": matmul_speed,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--steps", type=int, default=60, help="timed steps per implementation and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--implementation", choices=IMPLEMENTATIONS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.implementation:
        print(IMPLEMENTATIONS[options.implementation](options.precision, options.steps))
        return
    implementations = [name for name in IMPLEMENTATIONS if name != "torch" or importlib.util.find_spec("torch")]
    speeds: dict[str, list[float]] = {name: [] for name in implementations}
    for _ in range(options.rounds):
        for name in implementations:
            command = [sys.executable, __file__, "--implementation", name, "--precision", options.precision]
            output = subprocess.run([*command, "--steps", str(options.steps)], capture_output=True, text=True)
            if output.returncode:
                sys.exit(f"the {name} implementation failed:\n{output.stderr[-3000:]}")
            speeds[name].append(float(output.stdout.split()[-1]))
    report(speeds, options)


def report(speeds: dict[str, list[float]], options: argparse.Namespace) -> None:
    print(
        f"All-CNN-C, batch {BATCH}, {options.precision}, {options.steps} steps, {options.rounds} rounds, "
        f"{os.cpu_count()} cores; images/s"
    )
    for name, values in speeds.items():
        ratios = [own / other for own, other in zip(speeds["cnnlab"], values, strict=True)]
        print(
            f"{name:9}  median {statistics.median(values):7.0f}  of {' '.join(f'{value:.0f}' for value in values)}  "
            f"cnnlab / {name}: {statistics.median(ratios):.2f}"
        )


if __name__ == "__main__":
    main()
