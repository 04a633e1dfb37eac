"""From a configuration node to the object it describes."""

from collections.abc import Callable, Collection
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_method
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, OmegaConf

from cnnlab.errors import UserError, one_line


def instantiate(node: DictConfig | None, /, *, drop: Collection[str] = (), **kwargs: Any) -> Any:
    """Call the `_target_` of `node` with the node's other keys as arguments.

    Nested nodes that have a `_target_` are built first. Lists and mappings arrive as plain `list` and
    `dict`. The key `name` is a label for people and never handed on. With `_partial_: true` the target is not called:
    what is returned is the function itself, the other keys being its last arguments.

    Args:
        node: a group of the composed configuration, e.g. `config.optimizer`; None gives None.
        drop: further keys of `node` that are not arguments of the target.
        **kwargs: arguments known only now; they win over the node's keys and are passed on untouched.

    Raises:
        UserError: the target cannot be found or ends the program, or refuses its arguments with TypeError or
            ValueError. The message names the node's key, and the argument's where the target's begins with "argument=".
    """
    if node is None:
        return None
    unwanted = {"name", *drop, *kwargs}
    arguments = OmegaConf.masked_copy(node, [str(name) for name in node if name not in unwanted])
    arguments._set_parent(node._get_parent())  # interpolations reach the whole configuration
    try:
        # Partial first, so that Hydra does not turn the objects in kwargs into configuration nodes.
        build = hydra_instantiate(arguments, _convert_="all", _partial_=True)
        return build if node.get("_partial_") else build(**kwargs)
    except InstantiationException as error:
        cause = error.__cause__
        if cause is None or isinstance(cause, TypeError | ValueError | ImportError):
            raise _refusal(node, cause or error) from error
        raise cause from error
    except (TypeError, ValueError, SystemExit) as error:
        raise _refusal(node, error) from error


def locate(node: DictConfig) -> Callable[..., Any]:
    """Import the `_target_` of `node`.

    Raises:
        UserError: it cannot be found or imported, or ends the program.
    """
    try:
        return get_method(node._target_)
    except (Exception, SystemExit) as error:
        raise _refusal(node, error) from error


def ended(error: SystemExit) -> str:
    """What a module did that is a script, told to its author."""
    return f"SystemExit: {error}; put what it does as a script below if __name__ == '__main__':"


def _refusal(node: DictConfig, error: Exception | SystemExit) -> UserError:
    reason = one_line(error)
    if isinstance(error, SystemExit):  # which would end the command with an exit code of its own
        reason = f"{node.get('_target_')} ends the program ({ended(error)})"
    key = node._get_full_key("") or node.get("_target_")
    names_argument = "=" in reason and reason.partition("=")[0] in node
    return UserError(f"{key}{'.' if names_argument else ': '}{reason}")
