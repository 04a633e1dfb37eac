"""From the configuration to the learning rate as a function of the step."""

from keras.optimizers.schedules import LearningRateSchedule
from omegaconf import DictConfig, ListConfig

from cnnlab.config.durations import DurationLike, parse_duration
from cnnlab.config.instantiate import instantiate
from cnnlab.config.signatures import find_signature
from cnnlab.errors import UserError
from cnnlab.schedules.warm_up import WarmUp


def build_schedule(
    node: DictConfig, learning_rate: float, steps_per_epoch: int, total_steps: int
) -> LearningRateSchedule:
    """Build a schedule, with its warm-up, from `config.schedule`.

    Arguments of the target that its signature declares as DurationLike reach it as numbers of steps.

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

    def steps(key: str) -> int | list[int]:
        value, name = node[key], f"schedule.{key}"
        if isinstance(value, ListConfig):
            return [parse_duration(item, name).steps(steps_per_epoch, total_steps) for item in value]
        return parse_duration(value, name).steps(steps_per_epoch, total_steps)

    arguments = {key: steps(key) for key in _duration_keys(node)}
    schedule = instantiate(node, drop=["warmup"], initial_learning_rate=float(learning_rate), **arguments)
    warmup_steps = steps("warmup")
    return WarmUp(schedule, warmup_steps) if warmup_steps else schedule


def _duration_keys(node: DictConfig) -> list[str]:
    signature = find_signature(node._target_)
    hints = signature.hints if signature else {}
    return [key for key, hint in hints.items() if key in node and hint in (DurationLike, list[DurationLike])]
