"""From the configuration to a loop that is ready to run, at the start or where a checkpoint left it."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.augmentation.pipeline import build_pipeline
from cnnlab.config.scoring import loss_column, validation_columns
from cnnlab.data.data_loader import DataLoader, StreamLoader, build_data_loader
from cnnlab.data.dataset import Dataset
from cnnlab.data.sampler import BalancedSampler, EvaluationSampler, TrainingSampler
from cnnlab.errors import UserError
from cnnlab.losses.example_weight import example_weights
from cnnlab.losses.loss import WeightedLoss, build_loss, require_whole_labels
from cnnlab.metrics.metric_set import build_metrics
from cnnlab.models.graph import finalize_state
from cnnlab.models.network import export
from cnnlab.optimizers.loss_scaling import inner_optimizer
from cnnlab.runs.run import Run
from cnnlab.runtime.devices import agreement, has_gpu
from cnnlab.schedules.history import HistorySchedule
from cnnlab.training.callbacks import build_callbacks, watches_batches
from cnnlab.training.checkpoint_monitor import build_checkpoint_monitor
from cnnlab.training.checkpoints import Checkpoints
from cnnlab.training.divergence import WeightCheck
from cnnlab.training.loop import Loop
from cnnlab.training.loop_state import LoopState
from cnnlab.training.outputs import Outputs
from cnnlab.training.plan import Plan
from cnnlab.training.progress import ProgressDisplay
from cnnlab.training.signals import StopRequest
from cnnlab.training.step import compile_training, separate_dropout
from cnnlab.training.train_state import TrainState
from cnnlab.training.trainer_config import TrainerConfig
from cnnlab.training.validation import build_validation
from cnnlab.training.variables import training_variables

log = logging.getLogger(__name__)

GPU_STEPS_PER_CALL = 32  # on a GPU launches dominate small steps, so the loop over steps is in the graph


@dataclass(frozen=True)
class Step:
    """The compiled training step and what it takes.

    Attributes:
        data_loader: makes its inputs.
        loss: that it minimises.
        train_call: see `compile_training`.
    """

    data_loader: DataLoader
    loss: WeightedLoss
    train_call: Callable[[Any, tf.Tensor, int], tf.Tensor]


def build_step(config: DictConfig, trainer: TrainerConfig, dataset: Dataset, train_state: TrainState) -> Step:
    """Connect the training split, its augmentation, the loss and the network in a compiled step.

    Raises:
        UserError: the augmentation or the loss does not suit the batch, the data or each other.
    """
    strategy = train_state.strategy
    train_split = dataset.splits["train"]
    sampler = _sampler(config, train_split.labels, trainer.batch_size)
    augmentation = build_pipeline(config.augmentation)
    augmentation.require_pairs(trainer.batch_size, "trainer.batch_size", strategy.num_replicas_in_sync)
    augmentation.adapt(train_split)
    cropping = augmentation.host_cropping(config.seeds.augmentation, trainer.batch_size)
    source, mode, limit = augmentation.before(train_split), trainer.data, trainer.cache_limit_mib
    data_loader = build_data_loader(source, sampler, strategy, mode=mode, cache_limit_mib=limit, cropping=cropping)
    loss = build_loss(config, dataset, len(train_state.network.outputs))
    require_whole_labels(loss, augmentation.mixing, config.loss.name)
    train_call = compile_training(
        train_state,
        data_loader,
        loss,
        augmentation,
        example_weights(train_split),
        batch_size=trainer.batch_size,
        batches_per_pass=sampler.batches_per_pass,
        seed=config.seeds.augmentation,
        jit=_jit(trainer, strategy),
    )
    return Step(data_loader, loss, train_call)


def build_loop(
    config: DictConfig,
    trainer: TrainerConfig,
    run: Run,
    dataset: Dataset,
    plan: Plan,
    schedule: keras.optimizers.schedules.LearningRateSchedule,
    train_state: TrainState,
    directory: Path,
    stop: StopRequest,
    display: ProgressDisplay,
    loggers: Sequence[keras.callbacks.Callback],
) -> Loop:
    """Connect data loaders, compiled steps, outputs and loggers; restore the newest state of `directory`, if any."""
    strategy = train_state.strategy
    step = build_step(config, trainer, dataset, train_state)
    data_loader = step.data_loader
    for name, split in dataset.splits.items():
        if name != "test":
            train_state.metrics.tell_absent(name, split.labels, dataset.class_names)
    state = _restore(directory, train_state, schedule, plan)
    if state.step and trainer.callbacks:
        names = ", ".join(trainer.callbacks)
        log.warning("trainer.callbacks: %s: Keras keeps no state of callbacks, so it begins anew here", names)
    exported = export(train_state.preprocessing, train_state.network)
    return Loop(
        plan=plan,
        state=state,
        data_loader=data_loader,
        train_call=step.train_call,
        batch_size=trainer.batch_size,
        steps_per_call=_steps_per_call(trainer, data_loader, strategy),
        check_weights=WeightCheck(train_state.network.trainable_variables),
        metrics=train_state.metrics,
        validate=_validation(config, trainer, dataset, train_state, step.loss),
        validation_columns=validation_columns(config.loss, config.metric),
        checkpoint_monitor=build_checkpoint_monitor(trainer, loss_column(config.loss), train_state.metrics),
        outputs=Outputs(run, train_state, exported, dataset.own_names, trainer.keep_checkpoints),
        display=display,
        callbacks=build_callbacks(
            trainer.callbacks, loggers, exported, plan, averages=train_state.averaged is not None
        ),
        watches_batches=watches_batches(trainer.callbacks),
        schedule=schedule if isinstance(schedule, HistorySchedule) else None,
        directory=directory,
        stop=stop,
        agree=agreement(strategy),
    )


def _sampler(config: DictConfig, labels: np.ndarray, batch_size: int) -> TrainingSampler | BalancedSampler:
    if config.dataset.get("sampling") == "balanced":
        return BalancedSampler(labels, batch_size, config.seeds.shuffle)
    return TrainingSampler(len(labels), batch_size, config.seeds.shuffle)


def _restore(
    directory: Path, train_state: TrainState, schedule: keras.optimizers.schedules.LearningRateSchedule, plan: Plan
) -> LoopState:
    saved = Checkpoints(directory / "checkpoints", keep=1).restore_latest(training_variables(train_state))
    separate_dropout(train_state)
    if saved is None:
        _require_nothing_lost(directory)
        return LoopState()
    finalize_state(train_state.preprocessing)
    finalize_state(train_state.network)
    state = LoopState.from_json(saved)
    unfinished = state.step < plan.total_steps
    if unfinished and state.history and state.history[-1]["epoch"] == plan.epoch_of(state.step + 1):
        state.reopen_epoch()
    if isinstance(schedule, HistorySchedule):
        schedule.update(state.history)
    if state.step > plan.total_steps:
        raise UserError(
            f"resume={directory}: has made {state.step} steps already, more than the {plan.total_steps} asked for; "
            "raise trainer.epochs or trainer.steps"
        )
    if state.step == plan.total_steps:
        log.info("nothing is left to train after step %d; raise trainer.epochs for more", state.step)
    else:
        log.info("resuming after step %d of %d", state.step, plan.total_steps)
        if state.history and not isinstance(schedule, HistorySchedule):
            updates = int(inner_optimizer(train_state.optimizer)._iterations.numpy())
            _tell_new_schedule(schedule, state.history[-1], state.step - updates)
    return state


def _tell_new_schedule(
    schedule: keras.optimizers.schedules.LearningRateSchedule, epoch: Mapping[str, Any], skipped: int
) -> None:
    """Say so where another length of the training has changed the learning rates of steps that are made already.

    Args:
        epoch: the last row of metrics.csv.
        skipped: steps so far that overflowed in float16, for which the schedule does not move on.
    """
    then, now = epoch["learning_rate"], float(schedule(epoch["step"] - 1))
    expected = (float(schedule(max(epoch["step"] - 1 - steps, 0))) for steps in range(skipped + 1))
    if not any(math.isclose(then, rate, rel_tol=1e-3) for rate in expected):
        log.warning(
            "the schedule now spans other steps: at step %d the learning rate was %.3g and would now be %.3g",
            epoch["step"], then, now,
        )  # fmt: skip


def _require_nothing_lost(directory: Path) -> None:
    """Without a checkpoint a training begins at its first step, which must not pass for a resume.

    Raises:
        UserError: there has been one: the last model is written after it, and so is the second validation.
    """
    last, best = directory / "last.keras", directory / "model.keras"
    history = Run.open(directory).history() if (directory / "metrics.csv").exists() else []
    if last.exists() or sum(row["val_loss"] is not None for row in history) > 1:
        raise UserError(
            f"resume={directory}: its checkpoints are gone, so it cannot be resumed; start a new run from its weights, "
            f"weights={last if last.exists() else best}"
        )
    if history:
        log.warning("%s was cut before its first checkpoint: it begins again at step 1", directory)


def _validation(
    config: DictConfig, trainer: TrainerConfig, dataset: Dataset, train_state: TrainState, loss: WeightedLoss
) -> Callable[[], dict[str, float]] | None:
    split = dataset.splits.get("validation")
    if split is None:
        return None
    sampler = EvaluationSampler(len(split), trainer.batch_size, trainer.validation_steps)
    data_loader = build_data_loader(
        split, sampler, train_state.strategy, mode=trainer.data, cache_limit_mib=trainer.cache_limit_mib
    )
    metrics, column = build_metrics(config.metric, len(dataset.class_names)), loss_column(config.loss)
    return build_validation(train_state, data_loader, sampler.steps, metrics, (column, loss) if column else None)


def _jit(trainer: TrainerConfig, strategy: tf.distribute.Strategy) -> bool:
    if trainer.jit != "auto":
        return trainer.jit
    return has_gpu(strategy) and strategy.num_replicas_in_sync == 1


def _steps_per_call(trainer: TrainerConfig, data_loader: DataLoader, strategy: tf.distribute.Strategy) -> int:
    if trainer.steps_per_call != "auto":
        if isinstance(data_loader, StreamLoader) and trainer.steps_per_call != 1:
            raise UserError(
                f"trainer.steps_per_call={trainer.steps_per_call}: streamed data is fed one step at a time; "
                "use steps_per_call=auto or data=cached"
            )
        return trainer.steps_per_call
    return GPU_STEPS_PER_CALL if has_gpu(strategy) and not isinstance(data_loader, StreamLoader) else 1
