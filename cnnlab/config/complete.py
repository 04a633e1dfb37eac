"""From a composed configuration to one that a command can work with."""

from collections.abc import Sequence

from hydra.conf import HydraConf
from omegaconf import DictConfig

from cnnlab.config.defaults import fill_defaults
from cnnlab.config.explain import decoding_hint
from cnnlab.config.recipe import describe_leftovers, explain_leftover, leftovers, origin_hint
from cnnlab.config.resolve import resolve
from cnnlab.config.validate import validate
from cnnlab.errors import UnknownKey, UserError, WrongType


def complete(config: DictConfig, command: str, overrides: Sequence[str], hydra: HydraConf) -> list[str]:
    """Give a composed configuration, in place, what its options leave out; check and resolve it.

    Args:
        config: without Hydra's own part and without `sweep`.
        command: its name, such as train.
        overrides: what the command line itself set, as "key=value".
        hydra: Hydra's own configuration of the job.

    Returns:
        What to tell the user, a line each: keys that a recipe sets for another option than the chosen one.

    Raises:
        UserError: the configuration is wrong.
        OmegaConfBaseException: an interpolation cannot be resolved.
    """
    left = leftovers(hydra, overrides)
    try:
        fill_defaults(config)
        validate(config, command, overrides)
        resolve(config)
    except UnknownKey as error:
        raise explain_leftover(error, left) from error
    except WrongType as error:
        raise UserError(f"{error}{decoding_hint(config, error.key)}{origin_hint(error.key, left)}") from error
    return list(describe_leftovers(left))
