"""From the configuration to a loop that is ready to run, at the start or where a checkpoint left it."""

import logging
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.augmentation.pipeline import Pipeline, build_pipeline
from cnnlab.config.extras import is_installed
from cnnlab.data.data_loader import Feed, StreamFeed, build_feed
from cnnlab.data.dataset import Dataset
from cnnlab.data.sampler import EvaluationOrder, TrainingOrder
from cnnlab.errors import UserError
from cnnlab.losses.loss import build_loss
from cnnlab.models.network import export, finalize_preprocessing
from cnnlab.runs.run import Run
from cnnlab.runtime.devices import agreement, has_gpu
from cnnlab.training.checkpoint_monitor import build_selection
from cnnlab.training.checkpoints import Checkpoints
from cnnlab.training.loop import HistorySchedule, Loop
from cnnlab.training.loop_state import LoopState
from cnnlab.training.outputs import Outputs
from cnnlab.training.plan import Plan
from cnnlab.training.progress import ProgressDisplay
from cnnlab.training.signals import StopRequest
from cnnlab.training.step import compile_training, separate_dropout
from cnnlab.training.train_state import Learner
from cnnlab.training.trainer_config import TrainerConfig
from cnnlab.training.validation import build_validation
from cnnlab.training.variables import training_variables

log = logging.getLogger(__name__)

GPU_STEPS_PER_CALL = 32  # on a GPU launches dominate small steps, so the loop over steps is in the graph


def build_loop(
    config: DictConfig,
    trainer: TrainerConfig,
    run: Run,
    dataset: Dataset,
    plan: Plan,
    schedule: keras.optimizers.schedules.LearningRateSchedule,
    learner: Learner,
    states: Path,
    stop: StopRequest,
    display: ProgressDisplay,
    loggers: Sequence[keras.callbacks.Callback],
) -> Loop:
    """Connect feeds, compiled steps, outputs and loggers, and restore the newest state in `states`, if any."""
    strategy = learner.strategy
    train_split = dataset.splits["train"]
    order = TrainingOrder(len(train_split), trainer.batch_size, config.seeds.shuffle)
    feed = build_feed(train_split, order, strategy, mode=trainer.data, cache_limit_mib=trainer.cache_limit_mib)
    augmentation = build_pipeline(config.augmentation)
    _require_pairs(augmentation, trainer.batch_size, strategy.num_replicas_in_sync)
    augmentation.adapt(train_split)
    train_call = compile_training(
        learner,
        feed,
        build_loss(config, dataset, len(learner.network.outputs)),
        augmentation,
        batch_size=trainer.batch_size,
        batches_per_pass=order.batches_per_pass,
        seed=config.seeds.augmentation,
        jit=_jit(trainer, strategy),
    )
    state = _restore(states, learner, schedule, plan)
    exported = export(learner.preprocessing, learner.network)
    return Loop(
        plan=plan,
        state=state,
        feed=feed,
        train_call=train_call,
        batch_size=trainer.batch_size,
        steps_per_call=_steps_per_call(trainer, feed, strategy),
        validate=_validation(trainer, dataset, learner),
        selection=build_selection(trainer),
        outputs=Outputs(run, learner, exported, dataset.own_names, trainer.keep_checkpoints),
        display=display,
        callbacks=_callbacks(trainer, loggers, exported, plan),
        schedule=schedule if isinstance(schedule, HistorySchedule) else None,
        directory=states.parent,
        stop=stop,
        agree=agreement(strategy),
    )


def _require_pairs(augmentation: Pipeline, batch_size: int, replicas: int) -> None:
    if augmentation.mixes and batch_size % (2 * replicas):
        raise UserError(
            f"trainer.batch_size={batch_size}: mixup and cutmix mix pairs of images on each of {replicas} replicas; "
            f"use a multiple of {2 * replicas}"
        )


def _restore(
    states: Path, learner: Learner, schedule: keras.optimizers.schedules.LearningRateSchedule, plan: Plan
) -> LoopState:
    saved = Checkpoints(states, keep=1).restore_latest(training_variables(learner))
    separate_dropout(learner)
    if saved is None:
        _require_nothing_lost(states.parent)
        return LoopState()
    finalize_preprocessing(learner.preprocessing)
    state = LoopState.from_json(saved)
    goes_on = state.step < plan.total_steps
    if goes_on and state.history and state.history[-1]["epoch"] == plan.epoch_of(state.step + 1):
        state.reopen_epoch()
    if isinstance(schedule, HistorySchedule):
        schedule.update(state.history)
    if state.step > plan.total_steps:
        raise UserError(
            f"resume={states.parent}: has made {state.step} steps already, more than the {plan.total_steps} asked for; "
            "raise trainer.epochs or trainer.steps"
        )
    if state.step == plan.total_steps:
        log.info("nothing is left to train after step %d; raise trainer.epochs for more", state.step)
    else:
        log.info("going on from step %d of %d", state.step, plan.total_steps)
    return state


def _require_nothing_lost(directory: Path) -> None:
    """Without a checkpoint a training begins at its first step, which must not pass for going on.

    Raises:
        UserError: there has been one: the last model is written after it.
    """
    if (directory / "last.keras").exists():
        raise UserError(
            f"resume={directory}: its checkpoints are gone, so it cannot go on; start a new run from its weights, "
            f"weights={directory / 'last.keras'}"
        )
    if (directory / "metrics.csv").exists():
        log.warning("%s was cut before its first checkpoint: it begins again at step 1", directory)


def _validation(trainer: TrainerConfig, dataset: Dataset, learner: Learner):
    split = dataset.splits.get("validation")
    if split is None:
        return None
    order = EvaluationOrder(len(split), trainer.batch_size, trainer.validation_steps)
    feed = build_feed(split, order, learner.strategy, mode=trainer.data, cache_limit_mib=trainer.cache_limit_mib)
    return build_validation(learner, feed, order.steps)


def _jit(trainer: TrainerConfig, strategy: tf.distribute.Strategy) -> bool:
    if trainer.jit != "auto":
        return trainer.jit
    return has_gpu(strategy) and strategy.num_replicas_in_sync == 1


def _steps_per_call(trainer: TrainerConfig, feed: Feed, strategy: tf.distribute.Strategy) -> int:
    if trainer.steps_per_call != "auto":
        if isinstance(feed, StreamFeed) and trainer.steps_per_call != 1:
            raise UserError(
                f"trainer.steps_per_call={trainer.steps_per_call}: streamed data is fed one step at a time; "
                "use steps_per_call=auto or data=cached"
            )
        return trainer.steps_per_call
    return GPU_STEPS_PER_CALL if has_gpu(strategy) and not isinstance(feed, StreamFeed) else 1


def _callbacks(
    trainer: TrainerConfig, loggers: Sequence[keras.callbacks.Callback], model: keras.Model, plan: Plan
) -> keras.callbacks.CallbackList:
    model.stop_training = False
    callbacks = list(trainer.callbacks.values())
    if any(isinstance(callback, keras.callbacks.TensorBoard) for callback in callbacks) and not is_installed(
        "tensorboard"
    ):
        raise UserError("trainer.callbacks: TensorBoard is not installed; pip install 'cnnlab[tensorboard]'")
    return keras.callbacks.CallbackList(
        [*callbacks, *loggers],
        model=model,
        epochs=plan.epochs,
        steps=plan.steps_per_epoch,
        verbose=0,
    )
