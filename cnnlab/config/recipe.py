"""What a recipe sets for an option that the command line replaced by another."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from hydra import compose
from hydra.conf import HydraConf

from cnnlab.config.arguments import config_folders
from cnnlab.config.flat import flat, plain
from cnnlab.config.options import folders, read_groups
from cnnlab.config.overrides import override_key
from cnnlab.config.schema import GROUPS, SEVERAL
from cnnlab.config.types import shown
from cnnlab.errors import UnknownKey, UserError


@dataclass(frozen=True)
class Leftover:
    """A key that a recipe sets for an option that is not the chosen one.

    Attributes:
        key: its full name, such as optimizer.momentum.
        value: the recipe's, interpolations as they are written.
        recipe: the recipe's name.
        meant_for: the option of the key's group that the recipe is made for.
        chosen: the option that is chosen instead.
    """

    key: str
    value: Any
    recipe: str
    meant_for: str
    chosen: str


@dataclass(frozen=True)
class _Recipe:
    """The options that a recipe chooses, by group, and the keys that it sets, with those of recipes it extends."""

    options: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


def leftovers(hydra: HydraConf, overrides: Sequence[str]) -> list[Leftover]:
    """The keys that a recipe sets for options that the command line replaced; none where there is no recipe.

    Args:
        hydra: Hydra's own configuration of the job.
        overrides: what the command line itself set, as "key=value"; keys among them are its own.
    """
    choices = hydra.runtime.choices
    name = choices.get("experiment")
    if name is None:
        return []
    recipe = _read(name, next(iter(config_folders(hydra)), None))
    options = {group.name: group.default for group in read_groups("train")} | recipe.options
    given = set(map(override_key, overrides))
    return [
        Leftover(key, value, name, options[group], choices[group])
        for key, value in recipe.values.items()
        if (group := key.partition(".")[0]) in GROUPS.keys() - {*SEVERAL}
        and not options[group].startswith("${")  # an option that depends on another
        and choices[group] != options[group]
        and not any(f"{key}.".startswith(f"{own}.") for own in given - {group})
    ]


def _read(name: str, config_dir: str | None) -> _Recipe:
    """Read a recipe; empty where it is none of ours to read, as with Hydra's finer ways to name a file."""
    files = (folder / "experiment" / f"{name}.yaml" for folder in folders(config_dir))
    file = next((file for file in files if file.is_file()), None)
    document = yaml.safe_load(file.read_text(encoding="utf-8")) if file else None
    recipe = _Recipe()
    if not isinstance(document, dict):
        return recipe
    for entry in document.pop("defaults", []):
        if isinstance(entry, str) and entry != "_self_":
            base = _read(entry, config_dir)
            recipe.options.update(base.options)
            recipe.values.update(base.values)
        elif isinstance(entry, dict):
            recipe.options.update(_overridden(entry))
    recipe.values.update(flat(document))
    return recipe


def _overridden(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What `override /GROUP: OPTION` in a defaults list chooses."""
    for key, option in entry.items():
        if key.startswith("override /"):
            yield key.removeprefix("override /"), str(option)


def explain_leftover(error: UnknownKey, left: Sequence[Leftover]) -> UserError:
    """The error about a key, where a recipe sets it for another option, with how to take out all such keys."""
    owner = error.key.rpartition(".")[0]
    first = next((each for each in left if f"{each.key}.".startswith(f"{error.key}.")), None)
    if first is None:
        return error
    names = dict.fromkeys(
        each.key.removeprefix(f"{owner}.").partition(".")[0] for each in left if each.key.startswith(f"{owner}.")
    )
    out = " ".join(f"'~{owner}.{name}'" for name in names if name not in error.known)
    return UserError(
        f"{first.key}={shown(first.value)}: experiment={first.recipe} sets it for {first.meant_for}, and "
        f"{first.chosen} has no such key; take out what is not for {first.chosen}: {out}"
    )


def origin_hint(key: str, left: Sequence[Leftover]) -> str:
    """Where the value of a key comes from, for the end of an error; empty where it is of no other option."""
    found = next((each for each in left if f"{each.key}.".startswith(f"{key}.")), None)
    return f"; experiment={found.recipe} sets it for {found.meant_for}" if found else ""


def describe_leftovers(left: Sequence[Leftover]) -> Iterator[str]:
    """One line for each group of which the chosen option takes keys that a recipe sets for another.

    Called while Hydra runs the command.
    """
    for group in dict.fromkeys(each.key.partition(".")[0] for each in left):
        of_group = [each for each in left if each.key.startswith(f"{group}.")]
        chosen = of_group[0].chosen
        own = flat(plain(compose(overrides=[f"+{group}={chosen}"])))
        changed = [each for each in of_group if own.get(each.key) != each.value]
        if changed:
            keys = ", ".join(f"{each.key}={shown(each.value)}" for each in changed)
            instead = ", ".join(shown(own[each.key]) if each.key in own else "none" for each in changed)
            yield (
                f"{group}={chosen}: experiment={changed[0].recipe} sets {keys} for {changed[0].meant_for}, "
                f"which {'counts' if len(changed) == 1 else 'count'} here too; {chosen} by itself: {instead}"
            )
