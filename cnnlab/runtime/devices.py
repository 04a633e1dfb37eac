"""Choosing devices and the distribution strategy, before anything touches them."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Literal, Protocol

import tensorflow as tf

from cnnlab.errors import UserError, WorkerLost, one_line
from cnnlab.runtime.machine import usable_cores

log = logging.getLogger(__name__)


class RuntimeOptions(Protocol):
    """What TensorFlow fixes at its first operation, as conf/trainer explains it."""

    threads: int | None
    jit: bool | str
    deterministic: bool | str


class DeviceOptions(Protocol):
    """Which devices share a batch, as conf/trainer explains it."""

    strategy: str
    devices: int | Literal["auto"]
    batch_size: int


def configure_runtime(trainer: RuntimeOptions, *, trains: bool = False) -> None:
    """Set what TensorFlow fixes at its first operation: threads, GPU memory growth, determinism.

    Where that was earlier in this process, the number of threads stays what it is, which is told.

    Args:
        trains: whether the number of threads is a must, since the bytes of a training depend on it.

    Raises:
        UserError: it is, and TensorFlow has already started with another.
    """
    gpus = tf.config.list_physical_devices("GPU")
    try:
        if trainer.threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(trainer.threads)
            tf.config.threading.set_inter_op_parallelism_threads(trainer.threads)
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError as error:
        if trains and trainer.threads not in (None, tf.config.threading.get_intra_op_parallelism_threads()):
            raise UserError(
                f"trainer.threads={trainer.threads}: TensorFlow already runs with another count in this process; "
                "train in a new one, or before anything else that needs TensorFlow"
            ) from error
    kept = tf.config.threading.get_intra_op_parallelism_threads()
    if trainer.threads != (kept or None):
        _tell_kept(trainer.threads, kept)
    repeatable = not gpus and trainer.jit is not True  # XLA has no deterministic gradient of a max-pool
    if repeatable if trainer.deterministic == "auto" else trainer.deterministic:
        tf.config.experimental.enable_op_determinism()


@cache
def _tell_kept(asked: int | None, kept: int) -> None:
    """Say it once, not at every call of a notebook; 0 is all cores."""
    log.warning(
        "trainer.threads=%s: TensorFlow stays at %s, with which it has begun in this process",
        asked or "null", f"threads={kept}" if kept else "all cores",
    )  # fmt: skip


def hide_gpus() -> None:
    """Leave the GPUs to other processes, where TensorFlow has not started with them already."""
    with suppress(RuntimeError):
        tf.config.set_visible_devices([], "GPU")


def thread_count() -> int:
    """The number of threads an operation may use; results differ in the last bits between counts."""
    return tf.config.threading.get_intra_op_parallelism_threads() or usable_cores()


def build_strategy(trainer: DeviceOptions) -> tf.distribute.Strategy:
    """The distribution strategy that `trainer.strategy` and `trainer.devices` describe.

    `auto` is multi_worker where TF_CONFIG names several workers, mirrored where this host has several GPUs
    (or `devices` asks for several), else one_device.

    Raises:
        UserError: more devices asked for than there are, a contradiction between `strategy` and `devices`,
            or a batch that does not divide by the number of replicas.
    """
    kind = trainer.strategy
    workers = _workers_in_tf_config()
    if kind == "auto" and workers > 1:
        kind = "multi_worker"
    if kind == "multi_worker" and trainer.devices != "auto":
        raise UserError(
            f"trainer.devices={trainer.devices}: a training on several hosts takes all devices of each; use "
            "trainer.devices=auto, and CUDA_VISIBLE_DEVICES on each host for some of its GPUs"
        )
    strategy = _multi_worker(workers) if kind == "multi_worker" else _one_host(kind, _devices(trainer.devices))
    replicas = strategy.num_replicas_in_sync
    if trainer.batch_size % replicas:
        raise UserError(
            f"trainer.batch_size={trainer.batch_size} does not divide by the {replicas} replicas; "
            f"the nearest that does is {max(1, round(trainer.batch_size / replicas)) * replicas}"
        )
    return strategy


def _devices(requested: int | Literal["auto"]) -> list[str]:
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    names = [device.name for device in devices]
    if requested == "auto":
        return names
    if requested > len(names):
        kind = devices[0].device_type
        raise UserError(
            f"trainer.devices={requested}: this host has {len(names)} {kind} device(s); use trainer.devices=auto"
        )
    return names[:requested]


def _one_host(kind: str, devices: list[str]) -> tf.distribute.Strategy:
    if kind != "one_device" and len(devices) > 1:
        return tf.distribute.MirroredStrategy(devices)
    return tf.distribute.OneDeviceStrategy(devices[0])


def _workers_in_tf_config() -> int:
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return 0
    try:
        cluster = json.loads(text)["cluster"]
        if set(cluster) != {"worker"}:
            raise KeyError("worker alone")
        return len(cluster["worker"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"TF_CONFIG={text!r}: expected "
            '{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}'
        ) from error


def _multi_worker(workers: int) -> tf.distribute.Strategy:
    if not workers:
        raise UserError(
            "trainer.strategy=multi_worker: TF_CONFIG is not set; it names the hosts, "
            "scripts/train_multi_host.sh sets it"
        )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (ValueError, tf.errors.OpError) as error:
        raise UserError(f"TF_CONFIG={os.environ['TF_CONFIG']!r}: TensorFlow refuses it: {one_line(error)}") from error


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes the run directory."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.cluster_spec() or resolver.task_id in (0, None)


def has_gpu(strategy: tf.distribute.Strategy) -> bool:
    """Whether the strategy's devices are GPUs."""
    return "GPU" in strategy.extended.worker_devices[0].upper()


@contextmanager
def watch_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Turn TensorFlow's account of a broken connection into one line.

    Raises:
        WorkerLost: another process of a training on several hosts is gone.
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise
        raise WorkerLost(
            f"worker {strategy.cluster_resolver.task_id} lost another worker of TF_CONFIG; the last checkpoint "
            "stays: start all workers again with resume=RUN"
        ) from error


def agreement(strategy: tf.distribute.Strategy) -> Callable[[list[bool]], list[bool]] | None:
    """For several processes, a function that tells for each entry whether any of them has it set; else None.

    Every process must call it at the same step.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return None

    @tf.function(autograph=False)
    def total(values: tf.Tensor) -> tf.Tensor:
        mine = strategy.run(tf.identity, args=(values,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, mine, axis=None)

    def agree(values: list[bool]) -> list[bool]:
        return [value > 0 for value in total(tf.constant(values, tf.float32)).numpy()]

    return agree
