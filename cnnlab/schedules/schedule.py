"""From the configuration to the learning rate as a function of the step."""

import logging

from keras.optimizers.schedules import LearningRateSchedule
from omegaconf import DictConfig, ListConfig

from cnnlab.config.durations import DurationLike, parse_duration
from cnnlab.config.instantiate import instantiate
from cnnlab.config.signatures import find_signature
from cnnlab.errors import UserError
from cnnlab.schedules.warm_up import WarmUp

log = logging.getLogger(__name__)


def build_schedule(
    node: DictConfig, learning_rate: float, steps_per_epoch: int, total_steps: int
) -> LearningRateSchedule:
    """Build a schedule, with its warm-up, from `config.schedule`.

    Arguments of the target that its signature declares as DurationInSteps reach it as numbers of steps.

    Args:
        node: `_target_`, its arguments, and `warmup`.
        learning_rate: the optimizer's; the target receives it as `initial_learning_rate`.
        steps_per_epoch: steps in one epoch.
        total_steps: steps in the whole training.

    Returns:
        A function of the step (an integer scalar, 0 for the first) to a float32 scalar. One that follows the
        validation also has a method `update(history)`.

    Raises:
        UserError: the learning rate is not positive, a duration is none, or the target refuses its arguments.
    """
    if not learning_rate > 0:
        raise UserError(f"optimizer.learning_rate={learning_rate}: must be greater than 0")

    def steps(value: str | float, key: str) -> int:
        return parse_duration(value, f"schedule.{key}").steps(steps_per_epoch, total_steps)

    arguments = {
        key: [steps(item, key) for item in node[key]] if isinstance(node[key], ListConfig) else steps(node[key], key)
        for key in _duration_keys(node)
    }
    schedule = instantiate(node, drop=["warmup"], initial_learning_rate=float(learning_rate), **arguments)
    warmup_steps = steps(node.warmup, "warmup")
    if warmup_steps > total_steps:
        log.warning(
            "schedule.warmup=%s: the learning rate rises for %d steps, and the training has %d; it ends at %.3g of it",
            *(node.warmup, warmup_steps, total_steps, total_steps / warmup_steps),
        )
    return WarmUp(schedule, warmup_steps) if warmup_steps else schedule


def _duration_keys(node: DictConfig) -> list[str]:
    signature = find_signature(node._target_)
    hints = signature.hints if signature else {}
    return [key for key, hint in hints.items() if key in node and hint in (DurationLike, list[DurationLike])]
