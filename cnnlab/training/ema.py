"""Evaluating and exporting the moving average of the weights, where the optimizer keeps one."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cnnlab.data.dataset import Split
from cnnlab.data.sample import sample
from cnnlab.models.graph import function_of, uses_inside
from cnnlab.optimizers.loss_scaling import inner_optimizer
from cnnlab.reporting.words import first_few

log = logging.getLogger(__name__)

STATISTICS_IMAGES = 1024  # from which the statistics of batch normalisation are taken


class AveragedWeights:
    """The moving average that an optimizer built with `use_ema=True` keeps of the weights.

    The statistics of batch normalisation that training gathers are of the maps of the trained weights. Those of the
    average's are taken anew whenever it is used, as means over batches of training images (Izmailov et al. 2018,
    "Averaging Weights Leads to Wider Optima and Better Generalization", section 3.2).

    Args:
        optimizer: built on the network's trainable variables, in the strategy's scope.
        network: preprocessed images to logits.
        preprocessing: uint8 images to the network's inputs.
        split: the training images; read only where the network has statistics.
        seed: draws STATISTICS_IMAGES of them.
        batch_size: images in a batch; the last has what is left over, too.

    Raises:
        UserError: an image file cannot be decoded; it is named.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        network: keras.Model,
        preprocessing: keras.Model,
        split: Split,
        seed: int,
        batch_size: int,
    ):
        self._optimizer = inner_optimizer(optimizer)
        self._network = network
        self._preprocessing = preprocessing
        self._strategy = tf.distribute.get_strategy()
        self._normalisations = normalisations(network)
        self._statistics = [v for layer in self._normalisations for v in (layer.moving_mean, layer.moving_variance)]
        self._batches: list[np.ndarray] = []
        if self._normalisations:
            images = sample(split, STATISTICS_IMAGES, seed).images
            _tell_shared(network, self._normalisations)
            self._batches = np.split(images, range(batch_size, len(images) - batch_size + 1, batch_size))
        self._statistics_of = self._compile(self._gather)
        self._set_statistics = self._compile(self._assign)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the averages in the weights' place for the length of the block."""
        weights = self._network.trainable_variables
        trained = [weight.numpy() for weight in weights]
        gathered = [statistic.numpy() for statistic in self._statistics]
        self._optimizer.finalize_variable_values(weights)
        try:
            if self._statistics:
                self._set_statistics(*self._fitting_statistics())
            yield
        finally:
            for weight, value in zip(weights, trained, strict=True):
                weight.assign(value)
            self._set_statistics(*gathered)

    def _fitting_statistics(self) -> list[np.ndarray]:
        """The means over the batches of the statistics of each."""
        momenta = [layer.momentum for layer in self._normalisations]
        for layer in self._normalisations:
            layer.momentum = 0.0  # so that a batch leaves its own alone; read where the function is traced
        try:
            of_batches = [self._statistics_of(tf.constant(batch)) for batch in self._batches]
        finally:
            for layer, momentum in zip(self._normalisations, momenta, strict=True):
                layer.momentum = momentum
        return [np.mean(values, axis=0) for values in zip(*of_batches, strict=True)]

    def _compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of every replica, alike; of what it returns, the first one's."""
        strategy = self._strategy
        run = tf.function(lambda *args: strategy.run(function, args=args), autograph=False)
        return lambda *args: [strategy.experimental_local_results(each)[0] for each in run(*args) or ()]

    def _gather(self, images: tf.Tensor) -> list[tf.Tensor]:
        """The statistics of a batch (n, H, W, C); variables, dropout's seeds too, are as before."""
        changing = [variable.value for variable in self._network.non_trainable_variables]
        before = [tf.identity(variable) for variable in changing]
        self._network(self._preprocessing(images), training=True)
        gathered = [tf.identity(statistic.value) for statistic in self._statistics]
        for variable, value in zip(changing, before, strict=True):
            variable.assign(value)
        return gathered

    def _assign(self, *values: tf.Tensor) -> None:
        for statistic, value in zip(self._statistics, values, strict=True):
            statistic.value.assign(value)


def _tell_shared(network: keras.Model, layers: list[keras.layers.BatchNormalization]) -> None:
    """Tell of layers that normalise several times in one pass: of their uses the last alone gives the statistics."""
    found = uses_inside(network)[0] if function_of(network) else []
    count = Counter(id(use.operation) for use in found)
    shared = [layer.name for layer in layers if count[id(layer)] > 1]
    if shared:
        log.warning(
            "optimizer.use_ema=true: %s: used several times in the network, so the averaged weights are evaluated and "
            "saved with the statistics of the last use alone",
            first_few(shared),
        )


def normalisations(network: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The layers of batch normalisation that follow the data as they train."""
    layers = network._flatten_layers()
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]
