"""Tracing the training step and the evaluation of a configuration, without its data, to see what a GPU would run."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from cnnlab.data.data_loader import build_data_loader
from cnnlab.data.dataset import Dataset, Split, stored_shape
from cnnlab.data.sampler import EvaluationSampler
from cnnlab.errors import UserError
from cnnlab.runtime.gpu_kernels import HostOperation, host_operations, knows_gpus
from cnnlab.schedules.schedule import build_schedule
from cnnlab.training.loop_setup import Step, build_step
from cnnlab.training.plan import build_plan
from cnnlab.training.step import compile_evaluation
from cnnlab.training.train_state import TrainState, build_train_state
from cnnlab.training.trainer_config import build_trainer_config


def measure_placement(config: DictConfig, image_shape: tuple[int, int, int], num_classes: int) -> list[HostOperation]:
    """The operations of the training step, its augmentation and the evaluation that no GPU can run.

    Args:
        config: the configuration of `train`.
        image_shape: (height, width, channels).
        num_classes: of the data.

    Raises:
        UserError: this TensorFlow knows no GPU.
    """
    if not knows_gpus():
        raise UserError("placement=true: this TensorFlow has no kernels for GPUs; install tensorflow instead")
    train_state, step, dataset = build_traced(config, image_shape, num_classes)
    train_call: Any = step.train_call
    training = train_call.get_concrete_function(step.data_loader.inputs(0, 1), tf.constant(0, tf.int64), 1)
    sampler = EvaluationSampler(len(dataset.splits["train"]), config.trainer.batch_size)
    loader = build_data_loader(
        dataset.splits["train"], sampler, train_state.strategy, mode="cached", cache_limit_mib=np.inf
    )
    evaluate: Any = compile_evaluation(train_state, loader, step.loss, train_state.metrics)
    evaluation = evaluate.get_concrete_function(loader.inputs(0, 1))
    found = [operation for traced in (training, evaluation) for operation in host_operations(traced.graph)]
    return sorted({(each.operation, each.types): each for each in found}.values())


def build_traced(
    config: DictConfig, image_shape: tuple[int, int, int], num_classes: int, *, jit: bool = False
) -> tuple[TrainState, Step, Dataset]:
    """What a training of `config` would compile, on a batch of noise and with random weights; with `jit` by XLA."""
    config = config.copy()
    config.weights, config.weights_map, config.resume = None, None, None
    if config.model.get("weights") is not None:
        config.model.weights = None
    config.trainer.data, config.trainer.jit = "auto", jit
    dataset = _noise(config, image_shape, num_classes)
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    trainer = build_trainer_config(config.trainer)
    plan = build_plan(trainer, len(dataset.splits["train"]))
    schedule = build_schedule(config.schedule, config.optimizer.learning_rate, plan.steps_per_epoch, plan.total_steps)
    precision = keras.config.dtype_policy().name.removeprefix("mixed_")
    train_state = build_train_state(config, dataset, strategy, schedule, precision, plan)
    return train_state, build_step(config, trainer, dataset, train_state), dataset


def _noise(config: DictConfig, image_shape: tuple[int, int, int], num_classes: int) -> Dataset:
    count = config.trainer.batch_size
    size = config.dataset.get("resize_size")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, *image_shape), dtype=np.uint8)
    squares = None if size is None else rng.integers(0, 256, (count, *stored_shape(image_shape, size)), dtype=np.uint8)
    split = Split(images, np.arange(count, dtype=np.int32) % num_classes, squares=squares)
    names = tuple(map(str, range(num_classes)))
    return Dataset(config.dataset.name, image_shape, names, {"train": split, "validation": split}, named=False)


def print_placement(found: list[HostOperation], console: Console) -> None:
    """A table of what would run on the host, or one line where all runs on the GPU."""
    if not found:
        console.print("placement: every operation of the training step and of the evaluation has a GPU kernel")
        return
    table = Table(title="on the host for want of a GPU kernel")
    for head in ("operation", "types", "for example"):
        table.add_column(head, overflow="fold")
    for each in found:
        table.add_row(each.operation, ", ".join(each.types), each.example)
    console.print(table)
