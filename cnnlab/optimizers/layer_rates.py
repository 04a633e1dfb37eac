"""Layers that learn more slowly than others, or begin later: what fine-tuning a pretrained network needs."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

import keras
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.durations import parse_training_duration
from cnnlab.config.nearest import did_you_mean
from cnnlab.errors import UserError
from cnnlab.models.depth import kernel_depths
from cnnlab.optimizers.loss_scaling import inner_optimizer

log = logging.getLogger(__name__)

LAYER_RATES = ("layer_multipliers", "layer_decay", "layer_starts")


@dataclass(frozen=True)
class LayerRate:
    """How a variable's layer learns.

    Attributes:
        layer: its name, with those of the blocks that it stands in: block1/conv.
        multiplier: factor on the learning rate, 0 or more.
        start: updates of the network before the layer's first one.
    """

    layer: str
    multiplier: float
    start: int


def set_layer_rates(
    optimizer: keras.optimizers.Optimizer,
    node: DictConfig,
    network: keras.Model,
    steps_per_epoch: int,
    total_steps: int,
) -> None:
    """Have a built optimizer update each layer at the learning rate of its own that `config.optimizer` asks for.

    Weight decay, which is proportional to the learning rate, follows. Before its start a layer's gradient counts as
    zero, so that no momentum gathers and the others are clipped by their own norm, and its updates are counted from
    there: the layer moves as one that is unfrozen then, with an optimizer of its own. (Adam, which makes up for moments
    that begin at zero in its first updates, would otherwise take steps of several times the learning rate.)

    Args:
        node: `layer_multipliers`, `layer_decay` and `layer_starts`; see conf/optimizer/shared.
        network: on whose trainable variables the optimizer was built.
        steps_per_epoch: updates in an epoch.
        total_steps: updates in the training.

    Raises:
        UserError: a name fits no trained layer, or the optimizer decays weights in a way of its own, or cannot leave a
            layer as it is.
    """
    if not any(node.get(key) for key in LAYER_RATES):
        return
    inner = inner_optimizer(optimizer)
    if type(inner)._apply_weight_decay is not keras.optimizers.Optimizer._apply_weight_decay:
        raise UserError(
            f"optimizer={node.name}: decays weights in a way of its own, which knows no learning rates by layer; "
            f"leave {', '.join(key for key in LAYER_RATES if node.get(key))} out or choose another optimizer"
        )
    starts = {
        name: parse_training_duration(start, f"optimizer.layer_starts.{name}").steps(steps_per_epoch, total_steps)
        for name, start in (node.get("layer_starts") or {}).items()
    }
    variables = network.trainable_variables
    rates = layer_rates(network, node.get("layer_multipliers") or {}, node.get("layer_decay"), starts)
    _require_rest(inner, node.name, rates)
    _tell(rates)
    if any(rate.start and v.name in ("gamma", "beta") for rate, v in zip(rates, variables, strict=True)):
        log.info("normalisation layers follow the data from the first step on, also where they begin to learn later")
    _apply(inner, rates)


def layer_rates(
    network: keras.Model,
    multipliers: Mapping[str, float],
    decay: float | None,
    starts: Mapping[str, int],
) -> list[LayerRate]:
    """How the layer of each trained variable learns, in their order.

    Args:
        network: whose layers learn.
        multipliers: factors by the name of a layer or a pattern with * and ?, of which the last that fits counts.
        decay: the factor from each layer with a kernel to those before it, from the deepest, which has 1; see
            `kernel_depths`. None for 1 (Clark et al. 2020, "ELECTRA", appendix B).
        starts: steps, likewise.

    Raises:
        UserError: a pattern fits no layer.
    """
    variables = network.trainable_variables
    layers = [variable.path.rpartition("/")[0] for variable in variables]
    for key, patterns in (("layer_multipliers", multipliers), ("layer_starts", starts)):
        for pattern in patterns:
            if not any(fnmatchcase(layer, pattern) for layer in layers):
                hint = did_you_mean(pattern, layers) or "; cnnlab inspect lists the layers"
                raise UserError(f"optimizer.{key}.{pattern}: no layer that is trained is called so{hint}")
    factors = [1.0] * len(layers)
    if decay is not None:
        depths = kernel_depths(network)
        factors = [decay ** (max(depths) - depth) for depth in depths]
    return [
        LayerRate(layer, factor * _last(multipliers, layer, 1.0), int(_last(starts, layer, 0)))
        for layer, factor in zip(layers, factors, strict=True)
    ]


def _last(patterns: Mapping[str, float], layer: str, otherwise: float) -> float:
    return [otherwise, *(value for pattern, value in patterns.items() if fnmatchcase(layer, pattern))][-1]


def _require_rest(optimizer: keras.optimizers.Optimizer, name: str, rates: Sequence[LayerRate]) -> None:
    """Check that layers can rest under an optimizer, and begin as if it began with them.

    Raises:
        UserError: some are to, and they cannot.
    """
    late = next((rate.layer for rate in rates if rate.start), None)
    resting = late or next((rate.layer for rate in rates if not rate.multiplier), None)
    if isinstance(optimizer, keras.optimizers.Ftrl) and resting:
        raise UserError(
            f"optimizer={name}: makes weights of their gradients alone, over the learning rate, so {resting} cannot "
            "stay as it is, which layer_starts, or a factor of 0, asks for; choose another optimizer"
        )
    if isinstance(optimizer, keras.optimizers.Nadam) and late:
        raise UserError(
            f"optimizer.layer_starts: {late} begins later, and optimizer={name} corrects the first steps of all layers "
            "by one count of updates; use optimizer=adam"
        )


def _tell(rates: Sequence[LayerRate]) -> None:
    """One line: how many layers learn how."""
    groups: dict[tuple[float, int], list[str]] = {}
    for rate in rates:
        layers = groups.setdefault((rate.multiplier, rate.start), [])
        if rate.layer not in layers:
            layers.append(rate.layer)
    told = [
        f"{f'{layers[0]} to {layers[-1]}' if len(layers) > 1 else layers[0]} times {multiplier:.3g}"
        + (f" from step {start + 1} on" if start else "")
        for (multiplier, start), layers in groups.items()
    ]
    shown = told if len(told) <= 6 else [*told[:2], f"… {len(told) - 4} more …", *told[-2:]]
    log.info("learning rates by layer: %s", "; ".join(shown))


def _apply(optimizer: keras.optimizers.Optimizer, rates: Sequence[LayerRate]) -> None:
    update_step, apply_gradients = optimizer.update_step, optimizer._backend_apply_gradients

    def apply_moving(gradients: Sequence[tf.Tensor], variables: Sequence[keras.Variable]) -> None:
        """Without the gradients of layers that rest: clipping by the norm of all is of those that move."""
        pairs = zip(gradients, variables, strict=True)
        apply_gradients([moving(*pair) for pair in pairs], variables)

    def moving(gradient: tf.Tensor, variable: keras.Variable) -> tf.Tensor:
        rate = rates[optimizer._get_variable_index(variable)]
        if rate.multiplier and not rate.start:
            return gradient
        begun = (optimizer._iterations.value >= rate.start) & bool(rate.multiplier)  # `iterations` counts updates
        return tf.where(begun, gradient, tf.zeros_like(gradient))

    def update(gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        rate = rates[optimizer._get_variable_index(variable)]
        factor = tf.cast(rate.multiplier, learning_rate.dtype)
        if rate.start:
            factor *= tf.cast(optimizer._iterations.value >= rate.start, factor.dtype)
        if optimizer.weight_decay is not None and optimizer._use_weight_decay(variable):
            share = tf.cast(optimizer.learning_rate, factor.dtype) * factor * optimizer.weight_decay
            variable.assign_sub(variable * tf.cast(share, variable.dtype))
        with _counting_from(optimizer, rate.start):
            update_step(gradient, variable, learning_rate * factor)

    optimizer._backend_apply_gradients = apply_moving
    optimizer.update_step = update
    optimizer._apply_weight_decay = lambda variables: None


@contextmanager
def _counting_from(optimizer: keras.optimizers.Optimizer, start: int) -> Iterator[None]:
    """Have an optimizer take the update after `start` for its first, which Keras cannot for one variable alone."""
    if not start:
        yield
        return
    counted = optimizer._iterations
    attributes = vars(optimizer)  # not by assignment, which Keras and TensorFlow track
    attributes["_iterations"] = tf.maximum(counted.value - start, 0)
    try:
        yield
    finally:
        attributes["_iterations"] = counted
