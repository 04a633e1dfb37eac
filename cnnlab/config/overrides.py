"""What the overrides of a command line, key=value, say: their keys, and which of them do not count."""

from collections.abc import Iterator, Sequence

from cnnlab.config.schema import SEVERAL


def override_key(override: str) -> str:
    """The key that an override sets, adds or takes out: without its value, and without Hydra's + or ~ before it."""
    return override.lstrip("+~").partition("=")[0]


def overridden(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The arguments that do not count, since a later one sets the same key to another value, with that later one."""
    overrides = [argument for argument in arguments if "=" in argument and not argument.startswith(("-", "~"))]
    last = {override_key(override): override for override in overrides}
    for override in overrides:
        later = last[override_key(override)]
        if later.lstrip("+") != override.lstrip("+"):
            yield override, later


def named_twice(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The arguments that name an option of a group several times, with that option: it counts once."""
    for argument in arguments:
        group, _, value = argument.partition("=")
        names = [name.strip() for name in value.strip("[]").split(",")] if value.startswith("[") else []
        if group in SEVERAL:
            yield from ((argument, name) for name in dict.fromkeys(names) if names.count(name) > 1)
