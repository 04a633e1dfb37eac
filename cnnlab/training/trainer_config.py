"""What a training takes beside its data, its model and its optimizer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import keras
from omegaconf import DictConfig

from cnnlab.config.durations import DurationLike, TimedDurationLike
from cnnlab.config.instantiate import instantiate
from cnnlab.config.ranges import AT_LEAST_0, AT_LEAST_1, POSITIVE
from cnnlab.config.types import shown
from cnnlab.errors import UserError

Count = Annotated[int, AT_LEAST_1]
Auto = Literal["auto"]


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """The keys of conf/trainer, which explains them and gives their defaults; here are their types and ranges."""

    epochs: Annotated[float, POSITIVE]
    steps: Count | None
    batch_size: Count
    steps_per_epoch: Count | None
    validation_steps: Count | None
    validate_every: DurationLike
    monitor: str
    mode: Literal["auto", "min", "max"]
    early_stopping_patience: Count | None
    early_stopping_min_delta: Annotated[float, AT_LEAST_0]
    checkpoint_every: TimedDurationLike
    keep_checkpoints: Count
    strategy: Literal["auto", "one_device", "mirrored", "multi_worker"]
    devices: Auto | Count
    precision: Literal["auto", "float32", "bfloat16", "float16"]
    jit: Auto | bool
    steps_per_call: Auto | Count
    deterministic: Auto | bool
    threads: Count | None
    data: Literal["auto", "cached", "stream"]
    cache_limit_mib: Annotated[float, AT_LEAST_0]
    progress: Literal["auto", "rich", "plain", "none"]
    callbacks: Mapping[str, keras.callbacks.Callback]


def build_trainer_config(node: DictConfig) -> TrainerConfig:
    """Build the trainer of `config.trainer`, with its callbacks.

    Raises:
        UserError: one of `trainer.callbacks` is no Keras callback, or refuses its arguments.
    """
    callbacks = {}
    for name, callback in node.callbacks.items():
        callbacks[name] = instantiate(callback) if isinstance(callback, DictConfig) else callback
        if not isinstance(callbacks[name], keras.callbacks.Callback):
            raise UserError(
                f"trainer.callbacks.{name}={shown(node.callbacks[name])}: is no Keras callback; "
                f"give trainer.callbacks.{name}._target_=keras.callbacks.…"
            )
    return instantiate(node, callbacks=callbacks)
