"""From the configuration to the model, its optimizer and their starting weights."""

from pathlib import Path

import keras
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.data.dataset import Dataset
from cnnlab.initializers.apply import apply_initializer
from cnnlab.models.build import build_network, build_preprocessing, fit_preprocessing
from cnnlab.models.weights import load_weights
from cnnlab.optimizers.build import build_optimizer
from cnnlab.training.precision import POLICIES
from cnnlab.training.step import Learner, reduce_gradients_once


def build_learner(
    config: DictConfig,
    dataset: Dataset,
    strategy: tf.distribute.Strategy,
    learning_rate: keras.optimizers.schedules.LearningRateSchedule | float,
    precision: str,
) -> Learner:
    """Build everything a step reads or changes, with the weights training starts from.

    Preprocessing is fitted on the training split only. Weights come from the initializer, then from
    `config.weights` where that is set.
    """
    keras.utils.set_random_seed(config.seeds.initializer)
    keras.config.set_dtype_policy(POLICIES[precision])
    with strategy.scope():
        preprocessing = build_preprocessing(config.model.preprocessing, dataset.image_shape)
        fit_preprocessing(preprocessing, dataset.splits["train"], config.seeds.split)
        network = build_network(config.model, dataset.image_shape, config.dataset.num_classes)
        apply_initializer(config.initializer, network, config.seeds.initializer)
        if config.weights is not None and not _has_state(config.resume):
            load_weights(config.weights, preprocessing, network)
        optimizer = build_optimizer(config.optimizer, learning_rate)
        if precision == "float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(network.trainable_variables)
    if strategy.num_replicas_in_sync > 1:
        reduce_gradients_once(optimizer)
    return Learner(preprocessing, network, optimizer, strategy)


def _has_state(resume: str | None) -> bool:
    """Whether a checkpoint will replace whatever weights training would start from."""
    return resume is not None and any((Path(resume) / "checkpoints").glob("*.npz"))
