"""From the configuration to the model, its optimizer and their starting weights."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.data.dataset import Dataset
from cnnlab.data.sample import sample
from cnnlab.initializers.apply import apply_initializer
from cnnlab.models.network import build_network, build_preprocessing, fit_network, fit_preprocessing, is_ours
from cnnlab.models.saved import require_saveable
from cnnlab.models.weights import load_weights, tell_other_classes
from cnnlab.optimizers.optimizer import build_lookahead, build_optimizer
from cnnlab.runtime.precision import POLICIES
from cnnlab.training.step import TrainState, reduce_gradients_once


def build_train_state(
    config: DictConfig,
    dataset: Dataset,
    strategy: tf.distribute.Strategy,
    learning_rate: keras.optimizers.schedules.LearningRateSchedule | float,
    precision: str,
    total_steps: int,
) -> TrainState:
    """Build everything a step reads or changes, with the weights training starts from.

    Preprocessing, and layers of the network that are fitted to data, see the training split only. Weights come
    from the initializer, then from `config.weights` where that is set.

    Raises:
        UserError: the weights do not fit, or the network is not cnnlab's and cannot be saved (`require_saveable`).
    """
    keras.config.set_dtype_policy(POLICIES[precision])
    with strategy.scope():
        preprocessing = build_preprocessing(config.model.preprocessing, dataset.image_shape)
        fit_preprocessing(preprocessing, dataset.splits["train"], config.seeds.split)
        network = build_initialized(config, dataset, preprocessing)
        if config.weights is not None and not _has_state(config.resume):
            drop_head = config.weights_head == "drop"
            load_weights(config.weights, preprocessing, network, config.targets, drop_head=drop_head)
            if config.weights_head is None:
                tell_other_classes(config.weights, dataset)
        if not is_ours(config.model._target_):
            require_saveable(network, f"model._target_={config.model._target_}", config.targets)
        optimizer = build_optimizer(config.optimizer, learning_rate)
        if precision == "float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(network.trainable_variables)
        lookahead = build_lookahead(config.optimizer, network.weights, total_steps)
    if strategy.num_replicas_in_sync > 1:
        reduce_gradients_once(optimizer)
    return TrainState(preprocessing, network, optimizer, strategy, lookahead)


def build_initialized(config: DictConfig, dataset: Dataset, preprocessing: keras.Model) -> keras.Model:
    """Build the network with the weights that `config.initializer` gives it; `preprocessing` is fitted."""
    train, seed = dataset.splits["train"], config.seeds.initializer
    keras.utils.set_random_seed(seed)
    pretrained = config.weights is None and not _has_state(config.resume)
    network = build_network(config.model, dataset.image_shape, len(dataset.class_names), pretrained=pretrained)
    fit_network(network, preprocessing, train, config.seeds.split)

    def images(count: int) -> np.ndarray:
        return np.asarray(preprocessing(sample(train, count, seed).images))

    apply_initializer(config.initializer, network, seed, images)
    return network


def _has_state(resume: str | None) -> bool:
    """Whether a checkpoint will replace whatever weights training would start from."""
    return resume is not None and any((Path(resume) / "checkpoints").glob("*.npz"))
