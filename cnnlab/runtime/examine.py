"""What the machine offers and what cnnlab makes of it: all that `cnnlab doctor` reports."""

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import tensorflow as tf

from cnnlab.runtime import machine
from cnnlab.runtime.precision import choose_precision, processor_flags

PACKAGES = ("cnnlab", "tensorflow", "keras", "numpy", "hydra-core", "omegaconf", "scikit-learn", "pandas", "matplotlib")
INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2", "bf16")
PUBLISHED = {  # dataset: what its files are called where they are found without dataset.root
    "cifar10": ("cifar-10-batches-py", "cifar-10-python.tar.gz"),
    "cifar100": ("cifar-100-python", "cifar-100-python.tar.gz"),
    "mnist": ("mnist",),
    "fashion_mnist": ("fashion_mnist",),
    "cats_vs_dogs": ("cats_vs_dogs",),
}
SMALLEST, LARGEST = 512, 8192  # sides of the matrices whose product is measured
LONG_ENOUGH = 0.05  # seconds that one product should take
REPEATS = 5


def examine() -> dict[str, dict[str, Any]]:
    """Everything doctor reports: sections of JSON-ready values. Takes about two seconds."""
    precision, reason = choose_precision("auto")
    return {
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "machine": {
            "system": platform.platform(),
            "processor": machine.processor_name(),
            "physical_cores": psutil.cpu_count(logical=False),
            "usable_cores": machine.usable_cores(),
            "core_limit": machine.core_limit(),
            "memory_gib": _gib(psutil.virtual_memory().total),
            "memory_limit_gib": _gib(machine.memory_limit_bytes()),
            "instructions": [name for name in INSTRUCTIONS if name in processor_flags()],
        },
        "gpus": _gpus(),
        "precision": {"auto": precision, "because": reason},
        "matrix_product_gflops": {"float32": _gflops(tf.float32), "bfloat16": _gflops(tf.bfloat16)},
        "datasets": {"digits": "part of scikit-learn"} | {name: _find(files) for name, files in PUBLISHED.items()},
        "outputs": {"folder": str(Path("outputs").absolute()), "writable": _writable(Path("outputs").absolute())},
    }


def _gpus() -> dict[str, Any]:
    visible = []
    for gpu in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        capability = details.get("compute_capability")
        visible.append(
            {
                "name": details.get("device_name", gpu.name),
                "compute_capability": ".".join(map(str, capability)) if capability else None,
            }
        )
    installed = machine.installed_gpus()
    report: dict[str, Any] = {"usable": visible, "installed": installed}
    if len(installed) > len(visible):
        built = "cannot load its CUDA libraries" if tf.test.is_built_with_cuda() else "is built without CUDA"
        report["problem"] = (
            f"TensorFlow uses {len(visible)} of {len(installed)} GPUs: it {built}, or CUDA_VISIBLE_DEVICES hides some; "
            "pip install 'cnnlab[gpu]' brings the libraries"
        )
    return report


def _gflops(dtype: tf.DType) -> float:
    """The best rate of a square matrix product, in 1e9 operations per second; a multiply-add counts two."""
    size = SMALLEST
    while True:
        product = _product(size, dtype)
        product()  # the first call also chooses kernels
        if _seconds(product) >= LONG_ENOUGH or size >= LARGEST:
            break
        size *= 2
    best = min(_seconds(product) for _ in range(REPEATS))
    return round(2 * size**3 / best / 1e9, 1)


def _product(size: int, dtype: tf.DType) -> Callable[[], Any]:
    left, right = (tf.cast(tf.random.stateless_uniform((size, size), (seed, 0)), dtype) for seed in (0, 1))
    return lambda: tf.linalg.matmul(left, right)[0, 0].numpy()  # .numpy() waits for the device


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _find(names: tuple[str, ...]) -> str | None:
    for base in (os.environ.get("CNNLAB_DATA"), "data"):
        for name in names:
            if base and (Path(base) / name).exists():
                return str((Path(base) / name).absolute())
    return None


def _writable(folder: Path) -> bool:
    """Whether a run directory could be made in `folder`, which need not exist."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return os.access(existing, os.W_OK | os.X_OK)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gib(size: int | None) -> float | None:
    return None if size is None else round(size / 2**30, 1)
