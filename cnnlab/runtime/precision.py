"""Which number format a run computes in."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

Precision = Literal["float32", "bfloat16", "float16"]

POLICIES: dict[str, str] = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
NATIVE_BFLOAT16 = ("amx_bf16", "avx512_bf16", "bf16")  # the last is what ARM processors call it


def choose_precision(requested: Precision | Literal["auto"]) -> tuple[Precision, str]:
    """Return the precision to compute in, and why.

    `auto` chooses bfloat16 where the device that will train has it natively, else float32. bfloat16 keeps
    float32's range, so it needs no loss scaling; weights, optimizer state and losses stay float32.

    Args:
        requested: "auto", "float32", "bfloat16" or "float16".
    """
    if requested != "auto":
        return requested, "as configured"
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capabilities = [tf.config.experimental.get_device_details(gpu).get("compute_capability") for gpu in gpus]
        if all(capability and capability >= (8, 0) for capability in capabilities):
            return "bfloat16", "the GPU computes bfloat16 natively (compute capability 8.0 or higher)"
        return "float32", "the GPU has no native bfloat16 (compute capability below 8.0)"
    native = [flag for flag in NATIVE_BFLOAT16 if flag in processor_flags()]
    if native:
        return "bfloat16", f"the processor computes bfloat16 natively ({', '.join(native)})"
    return "float32", "the processor has no native bfloat16"


def processor_flags() -> frozenset[str]:
    """The instruction-set flags the operating system reports; empty where it reports none."""
    if platform.system() != "Linux":
        return frozenset()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.split(":", 1)[1].split())
    return frozenset()


@contextmanager
def own_precision() -> Iterator[None]:
    """Begin with the dtype policy that a process begins with, and leave the one that was set as it was."""
    import keras

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(keras.config.floatx())
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
