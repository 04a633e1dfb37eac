"""What will be trained, in a few lines, before it begins."""

from pathlib import Path

import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.data.dataset import SPLITS, Dataset
from cnnlab.reporting.words import counted
from cnnlab.runtime.devices import thread_count
from cnnlab.training.plan import Plan
from cnnlab.training.progress import shown_path
from cnnlab.training.train_state import TrainState


def header_lines(
    config: DictConfig, dataset: Dataset, plan: Plan, train_state: TrainState, precision: str, directory: Path
) -> list[str]:
    """Model and device, data, length and place of a training.

    Args:
        config: of `train`.
        precision: float32, bfloat16 or float16.
        directory: of the run.
    """
    batch_size, sampling = config.trainer.batch_size, config.dataset.get("sampling", "shuffled")
    splits = [name for name in SPLITS if name in dataset.splits]
    sizes = ", ".join(f"{len(dataset.splits[name]):,} {name}" for name in splits)
    parameters = train_state.network.count_params()
    return [
        f"{config.model.name}: {parameters:,} parameters, {precision} on {_devices(train_state)}",
        f"{dataset.name}: {sizes} images, {counted(len(dataset.class_names), 'class', 'classes')}",
        length(plan, batch_size, len(dataset.splits["train"]), sampling)
        + unused_steps(plan.total_steps, config.optimizer.get("gradient_accumulation_steps")),
        f"run directory: {shown_path(directory)}",
    ]


def length(plan: Plan, batch_size: int, images: int, sampling: str = "shuffled") -> str:
    """How long a training is, and how many of its images an epoch leaves out, or that it draws classes alike."""
    if plan.total_steps == plan.epochs * plan.steps_per_epoch:
        line = f"{counted(plan.epochs, 'epoch')} of {counted(plan.steps_per_epoch, 'step')}, {batch_size} images each"
    else:
        line = f"{counted(plan.total_steps, 'step')}, {batch_size} images each, {plan.steps_per_epoch:,} to an epoch"
    if sampling == "balanced":
        return f"{line}, as many of each class"
    rest = images % batch_size
    return f"{line}; {counted(rest, 'image')}, others each time, left over" if rest else line


def unused_steps(total_steps: int, accumulated: int | None) -> str:
    """What is told of the last steps where too few are left to accumulate the gradients of an update."""
    rest = total_steps % accumulated if accumulated else 0
    return f"; the last {counted(rest, 'step')} without an update, which takes {accumulated}" if rest else ""


def _devices(train_state: TrainState) -> str:
    names = train_state.strategy.extended.worker_devices
    replicas = train_state.strategy.num_replicas_in_sync
    times = f"{replicas} × " if replicas > 1 else ""
    if "GPU" not in names[0].upper():
        return f"{times}CPU, {counted(thread_count(), 'thread')}"
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return f"{times}{details.get('device_name', 'GPU')}"
