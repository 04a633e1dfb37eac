"""The compiled training step and the compiled evaluation, under any distribution strategy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from cnnlab.augmentation.pipeline import Pipeline
from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.data.data_loader import DataLoader
from cnnlab.losses.loss import WeightedLoss
from cnnlab.metrics.metric_set import MetricSet
from cnnlab.training.train_state import TrainState

Scored = tuple[tf.Tensor, ...]
"""What metrics compare: labels and logits, and of an evaluation their indices; nothing where there are no metrics."""


def compile_training(
    train_state: TrainState,
    data_loader: DataLoader,
    loss_function: WeightedLoss,
    augmentation: Pipeline,
    weights: np.ndarray | None,
    *,
    batch_size: int,
    batches_per_pass: int,
    seed: int,
    jit: bool,
) -> Callable[[Any, tf.Tensor, int], tf.Tensor]:
    """Compile the training step.

    Args:
        weights: (N,) float32 factors of the losses of the training split's examples; None for equal ones. Where
            augmentation mixes images, it mixes their weights as it does their targets.
        batch_size: the global batch size; the loss is summed over examples and divided by it.
        batches_per_pass: steps in which the whole training split is seen once.
        seed: the augmentation's seed.
        jit: compile with XLA: the whole call on one device, each replica's gradients on several.

    Returns:
        A function (inputs of the data loader, first step, count) -> float32 (count, 3): the loss, the accuracy and
        the learning rate of each step, left on the device. The loss is the mean of the weighted loss function over
        the batch, without the network's L2 penalties; the accuracy counts all examples alike. The metrics of the train
        state are updated on the way.
    """
    strategy = train_state.strategy
    replicas = strategy.num_replicas_in_sync
    gradients = _gradients(
        train_state, data_loader, loss_function, augmentation, weights, batch_size, batches_per_pass, seed
    )
    if jit and replicas > 1:
        gradients = tf.function(gradients, autograph=False, jit_compile=True)

    def replica_step(inputs: Any, number: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, Scored]:
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group if replicas > 1 else 0
        grads, loss, accuracy, scored = gradients(inputs, number, step, replica)
        learning_rate = tf.cast(train_state.optimizer.learning_rate, tf.float32)
        if replicas > 1:
            grads = context.all_reduce(tf.distribute.ReduceOp.SUM, grads)
        train_state.optimizer.apply(grads, train_state.network.trainable_variables)
        if train_state.lookahead:
            train_state.lookahead.after(step + 1)
        return tf.stack([loss, accuracy, learning_rate / replicas]), scored

    @tf.autograph.experimental.do_not_convert
    def one_step(inputs: Any, number: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        result, scored = strategy.run(replica_step, args=(inputs, number, step))
        if train_state.metrics:
            train_state.metrics.update(*_gathered(strategy, scored))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, result, axis=None) if replicas > 1 else result

    return _calls(one_step, jit=jit and replicas == 1)


def _calls(
    one_step: Callable[[Any, tf.Tensor, tf.Tensor], tf.Tensor], *, jit: bool
) -> Callable[[Any, tf.Tensor, int], tf.Tensor]:
    """Several steps in one call: (inputs, first step, count) -> what they return, stacked."""

    @tf.function(jit_compile=jit)
    def call(inputs: Any, first_step: tf.Tensor, count: int) -> tf.Tensor:
        if count == 1:
            return one_step(inputs, 0, first_step)[tf.newaxis]
        results = tf.TensorArray(tf.float32, count, element_shape=(3,))
        for number in tf.range(count):
            results = results.write(number, one_step(inputs, number, first_step + tf.cast(number, tf.int64)))
        return results.stack()

    return call


def _gradients(
    train_state: TrainState,
    data_loader: DataLoader,
    loss_function: WeightedLoss,
    augmentation: Pipeline,
    example_weights: np.ndarray | None,
    batch_size: int,
    batches_per_pass: int,
    seed: int,
) -> Callable[[Any, tf.Tensor, tf.Tensor, tf.Tensor], tuple[Any, ...]]:
    """A replica's part of a step: (inputs, number, step, replica) -> gradients, loss, accuracy, what metrics compare.

    Summed over the replicas, each of the first three is that of the global batch.
    """
    replicas = train_state.strategy.num_replicas_in_sync
    share = batch_size // replicas
    held_weights = None if example_weights is None else tf.constant(example_weights)

    def gradients(inputs: Any, number: tf.Tensor, step: tf.Tensor, replica: tf.Tensor) -> tuple[Any, ...]:
        images, labels, indices = data_loader.select(inputs, number, replica)
        draw_seed = tf.stack([seed, tf.cast(step, tf.int32)])
        stream = RandomStream(draw_seed, batch_size, replica * share, share, indices, step // batches_per_pass)
        targets = tf.one_hot(labels, loss_function.num_classes)
        if held_weights is None:
            images, targets = augmentation(images, targets, stream)
            weighted = targets
        else:  # beside the shares of the classes what each counts, which is mixed alike
            weighted = targets * tf.gather(held_weights, indices)[:, tf.newaxis]
            images, targets = augmentation(images, tf.concat([targets, weighted], axis=1), stream)
            targets, weighted = tf.split(targets, 2, axis=1)
        weights = train_state.network.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:  # else frozen layers cost a backward pass too
            tape.watch([weight.value for weight in weights])
            heads = train_state.logits(images, training=True)
            loss = tf.reduce_sum(loss_function(weighted, heads)) / batch_size
            penalty = tf.add_n(train_state.network.losses) / replicas if train_state.network.losses else 0.0
            scaled = train_state.optimizer.scale_loss(loss + penalty)
        correct = tf.equal(tf.argmax(heads[0], axis=-1), tf.argmax(targets, axis=-1))
        accuracy = tf.reduce_sum(tf.cast(correct, tf.float32)) / batch_size
        scored = (tf.argmax(targets, axis=-1), heads[0]) if train_state.metrics else ()
        return tape.gradient(scaled, weights), loss, accuracy, scored

    return gradients


def _gathered(strategy: tf.distribute.Strategy, values: Scored) -> Scored:
    """What each replica has of a batch, put together in their order."""
    if strategy.num_replicas_in_sync == 1:
        return values
    return tuple(strategy.gather(value, axis=0) for value in values)


def compile_evaluation(
    train_state: TrainState, data_loader: DataLoader, loss_function: WeightedLoss | None, metrics: MetricSet
) -> Callable[[Any], tf.Tensor]:
    """Compile the evaluation of one batch.

    Args:
        loss_function: to be measured beside the cross-entropy; None for none.
        metrics: to be updated.

    Returns:
        A function (inputs of the data loader) -> float32 (3,), or with a loss function (4,): the number of examples,
        the summed cross-entropy in nats, the number of correct examples and the summed losses, padding left out, over
        all replicas.
    """
    strategy = train_state.strategy

    def replica_evaluation(inputs: Any) -> tuple[tf.Tensor, Scored]:
        context = tf.distribute.get_replica_context()
        images, labels, indices = data_loader.select(inputs, 0, context.replica_id_in_sync_group)
        logits = train_state.logits(images, training=False)[0]
        real = tf.cast(indices >= 0, tf.float32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        correct = tf.cast(tf.equal(tf.argmax(logits, axis=-1), labels), tf.float32)
        sums = [tf.reduce_sum(real), tf.reduce_sum(losses * real), tf.reduce_sum(correct * real)]
        if loss_function:
            sums.append(tf.reduce_sum(loss_function(tf.one_hot(labels, loss_function.num_classes), [logits]) * real))
        return tf.stack(sums), (labels, logits, indices) if metrics else ()

    @tf.function(autograph=False)
    def call(inputs: Any) -> tf.Tensor:
        sums, scored = strategy.run(replica_evaluation, args=(inputs,))
        if metrics:
            labels, logits, indices = _gathered(strategy, scored)
            real = indices >= 0
            metrics.update(tf.boolean_mask(labels, real), tf.boolean_mask(logits, real))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)

    return call


def separate_dropout(train_state: TrainState) -> None:
    """Give each replica dropout masks of its own: Keras starts them all from the same seed."""
    generators = [v for v in train_state.network.variables if v.path.endswith("seed_generator_state")]

    def offset() -> None:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        for state in generators:
            state.value.assign_add(tf.stack([tf.cast(replica, state.value.dtype), tf.zeros((), state.value.dtype)]))

    if train_state.strategy.num_replicas_in_sync > 1 and generators:
        tf.function(lambda: train_state.strategy.run(offset), autograph=False)()


def average_statistics(train_state: TrainState) -> None:
    """Average the moving statistics of normalisation layers over the replicas.

    Each replica updates its own from its share of the batch; a moving average is linear, so averaging
    before they are used equals averaging at each step.
    """
    statistics = [v for v in train_state.network.non_trainable_variables if v.dtype.startswith("float")]
    if train_state.lookahead:
        statistics += train_state.lookahead.slow

    def average() -> None:
        context = tf.distribute.get_replica_context()
        for variable in statistics:
            variable.value.assign(context.all_reduce(tf.distribute.ReduceOp.MEAN, tf.identity(variable.value)))

    if train_state.strategy.num_replicas_in_sync > 1 and statistics:
        tf.function(lambda: train_state.strategy.run(average), autograph=False)()
