"""What a training step reads and changes: the model, its optimizer and their weights; built from the configuration."""

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import tree
from omegaconf import DictConfig

from cnnlab.config.targets import is_ours
from cnnlab.data.dataset import Dataset
from cnnlab.data.sample import sample
from cnnlab.initializers.apply import apply_initializer
from cnnlab.metrics.metric_set import MetricSet, build_metrics
from cnnlab.models.keras_file import require_saveable
from cnnlab.models.network import build_network, build_preprocessing, fit_network, fit_preprocessing
from cnnlab.models.weights.load_weights import load_weights, tell_other_classes
from cnnlab.optimizers.layer_rates import set_layer_rates
from cnnlab.optimizers.lookahead import Lookahead
from cnnlab.optimizers.loss_scaling import inner_optimizer
from cnnlab.optimizers.optimizer import build_lookahead, build_optimizer
from cnnlab.runtime.precision import POLICIES
from cnnlab.training.ema import AveragedWeights
from cnnlab.training.plan import Plan

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainState:
    """All that a step reads or changes.

    Attributes:
        preprocessing: uint8 images to float32 network inputs; not trained.
        network: preprocessed images to logits.
        optimizer: built on the network's trainable variables.
        strategy: the strategy in whose scope all of these were made.
        lookahead: draws the weights back every few steps; None where nothing does.
        averaged: the weights that are evaluated and leave the run; None where those are the trained ones.
        metrics: of the epoch's training images so far.
    """

    preprocessing: keras.Model
    network: keras.Model
    optimizer: keras.optimizers.Optimizer
    strategy: tf.distribute.Strategy
    lookahead: Lookahead | None
    averaged: AveragedWeights | None
    metrics: MetricSet

    def logits(self, images: tf.Tensor, training: bool) -> list[tf.Tensor]:
        """The float32 logits (n, num_classes) of uint8 images, of every head; the one that counts comes first."""
        heads = tree.flatten(self.network(self.preprocessing(images), training=training))
        return [_class_logits(tf.cast(logits, tf.float32)) for logits in heads]

    def evaluated_weights(self) -> AbstractContextManager[None]:
        """Have the network the weights that are evaluated and leave the run, for the length of a block."""
        return self.averaged.in_place() if self.averaged else nullcontext()


def _class_logits(logits: tf.Tensor) -> tf.Tensor:
    """One logit per class. The sigmoid of a single one, z, is the softmax of [0, z], and so are their losses."""
    return tf.pad(logits, [[0, 0], [1, 0]]) if logits.shape[-1] == 1 else logits


def build_train_state(
    config: DictConfig,
    dataset: Dataset,
    strategy: tf.distribute.Strategy,
    learning_rate: keras.optimizers.schedules.LearningRateSchedule | float,
    precision: str,
    plan: Plan,
) -> TrainState:
    """Build everything a step reads or changes, with the weights training starts from.

    Preprocessing, and layers of the network that are fitted to data, see the training split only. Weights come
    from the initializer, then from `config.weights` where that is set.

    Raises:
        UserError: the weights do not fit, a metric is none, or the network is not cnnlab's and cannot be saved
            (`require_saveable`).
    """
    keras.config.set_dtype_policy(POLICIES[precision])
    with strategy.scope():
        preprocessing = build_preprocessing(config.model.preprocessing, dataset.image_shape)
        fit_preprocessing(preprocessing, dataset.splits["train"], config.seeds.split)
        network = build_initialized(config, dataset, preprocessing)
        if config.weights is not None and not _has_state(config.resume):
            if config.initializer._target_ is not None:
                effect = "reaches the head alone" if config.weights_head == "drop" else "has no effect"
                source = f"since weights={config.weights} gives the weights"
                log.warning("initializer=%s: %s, %s", config.initializer.name, effect, source)
            load_weights(
                config.weights,
                preprocessing,
                network,
                config.targets,
                drop_head=config.weights_head == "drop",
                weights_map=config.weights_map,
            )
            if config.weights_head is None:
                tell_other_classes(config.weights, dataset)
        if not is_ours(config.model._target_):
            require_saveable(network, f"model._target_={config.model._target_}", config.targets)
        optimizer = build_optimizer(config.optimizer, learning_rate)
        if precision == "float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(network.trainable_variables)
        set_layer_rates(optimizer, config.optimizer, network, plan.steps_per_epoch, plan.total_steps)
        lookahead = build_lookahead(config.optimizer, network.weights, plan.total_steps)
        averaged = None
        if inner_optimizer(optimizer).use_ema:
            share = max(config.trainer.batch_size // strategy.num_replicas_in_sync, 1)
            images, seed = dataset.splits["train"], config.seeds.split
            averaged = AveragedWeights(optimizer, network, preprocessing, images, seed, share)
    if strategy.num_replicas_in_sync > 1:
        _reduce_gradients_once(optimizer)
    metrics = build_metrics(config.metric, len(dataset.class_names))
    return TrainState(preprocessing, network, optimizer, strategy, lookahead, averaged, metrics)


def build_initialized(config: DictConfig, dataset: Dataset, preprocessing: keras.Model) -> keras.Model:
    """Build the network with the weights that `config.initializer` gives it, unless a checkpoint is to replace them;
    `preprocessing` is fitted."""
    train, seed, goes_on = dataset.splits["train"], config.seeds.initializer, _has_state(config.resume)
    keras.utils.set_random_seed(seed)
    pretrained = config.weights is None and not goes_on
    network = build_network(config.model, dataset.image_shape, len(dataset.class_names), pretrained=pretrained)
    fit_network(network, preprocessing, train, config.seeds.split)

    def images(count: int) -> np.ndarray:
        return np.asarray(preprocessing(sample(train, count, seed).images))

    if not goes_on:
        apply_initializer(config.initializer, network, seed, images)
    return network


def _has_state(resume: str | None) -> bool:
    """Whether a checkpoint will replace whatever weights training would start from."""
    return resume is not None and any((Path(resume) / "checkpoints").glob("*.npz"))


def _reduce_gradients_once(optimizer: keras.optimizers.Optimizer) -> None:
    """Keep a Keras optimizer from summing gradients over the replicas, because the step has done so.

    Keras clips before it sums, and its loss scaling looks for overflows in what it is given, so under a
    strategy with several replicas both would act on each replica's own part of the gradient.
    """
    inner_optimizer(optimizer)._all_reduce_sum_gradients = lambda grads_and_vars: grads_and_vars
