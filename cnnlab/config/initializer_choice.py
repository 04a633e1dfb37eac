"""Which initializers `cnnlab inspect` reports on."""

from collections.abc import Sequence

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from cnnlab.config.nearest import did_you_mean
from cnnlab.config.overrides import override_key
from cnnlab.config.types import shown
from cnnlab.errors import UserError


def reported_initializers(config: DictConfig, overrides: Sequence[str]) -> dict[str, DictConfig]:
    """The nodes of the initializers to report on, by name; none where the user names none.

    These are the configured one, if the command line itself chose or changed it (a recipe that sets one asks
    for no report), and the options that `config.initializers` lists. Called while Hydra runs the command.

    Args:
        config: the configuration of `inspect`.
        overrides: what the command line set, as "key=value".

    Raises:
        UserError: the group has no such option.
    """
    keys = {override_key(override).partition(".")[0] for override in overrides}
    nodes = {config.initializer.name: config.initializer} if "initializer" in keys else {}
    options = GlobalHydra.instance().config_loader().get_group_options("initializer") if config.initializers else []
    for name in config.initializers:
        if name not in options:
            hint = did_you_mean(name, options) or f"; options: {', '.join(options)}"
            raise UserError(f"initializers={shown(list(config.initializers))}: no initializer {name}{hint}")
        nodes.setdefault(name, compose(overrides=[f"+initializer={name}"]).initializer)
    return nodes
