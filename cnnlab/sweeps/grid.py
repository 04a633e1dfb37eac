"""The grid of a sweep: its jobs, and what they and the sweep are called."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from cnnlab.config.arguments import is_path, unquote_path
from cnnlab.config.overrides import override_key
from cnnlab.errors import UserError

LONGEST = 120
"""Characters of a folder's name; file systems allow 255 bytes."""

CONFIGURATION = "configuration"
"""The swept key whose values are sets of overrides with a name."""

_OWN = ("sweep.", "hydra.", "hydra/")
"""Keys that say how a sweep is run, not what is trained."""


@dataclass(frozen=True)
class Job:
    """One training of a sweep: a combination of its grid's values.

    Attributes:
        name: of its folder: the swept keys with their values.
        overrides: all of them, without what says how the sweep is run.
        values: what it has for each swept key, as written, paths without their quotes.
    """

    name: str
    overrides: tuple[str, ...]
    values: dict[str, str]


@dataclass(frozen=True)
class Grid:
    """All combinations of the values given for several keys.

    Attributes:
        keys: the swept ones, in the order of the jobs' names.
        jobs: in the order they are trained in.
        fixed: the overrides that all jobs share.
        repeated: how many combinations were a job once more, since a value was given twice.
    """

    keys: tuple[str, ...]
    jobs: tuple[Job, ...]
    fixed: tuple[str, ...]
    repeated: int

    def name(self) -> str:
        """A name for the sweep that follows from what it trains: the same grid has the same name."""
        text = "\n".join([*self.fixed, *(job.name for job in self.jobs)])
        label = sanitised("+".join(_short(key) for key in self.keys) or "single")
        return f"{_cut(label, 60)}-{_digest(text)}"


def read_grid(loader: ConfigLoader, arguments: Sequence[str], configurations: Mapping[str, Sequence[str]]) -> Grid:
    """The grid that overrides span.

    Args:
        loader: knows the groups, so that `model=*` means all of them.
        arguments: overrides, those that sweep (key=a,b or key=range(3)) among them; a later one wins over an earlier
            one of the same key, which remains a swept key.
        configurations: sets of overrides by name, each of which is combined with all of the others; swept as the key
            "configuration".

    Raises:
        HydraException: an override cannot be read, or sweeps over what is not a list of values.
        UserError: a key is swept over no value at all, as by seed=range(0,0) or a glob that nothing matches; or it is
            in a configuration too, or says how the sweep is run.
    """
    overrides = OverridesParser.create(config_loader=loader).parse_overrides(list(arguments))
    for override in filter(_is_own, overrides):
        if override.is_sweep_override():
            key, _, values = str(override.input_line).partition("=")
            one = f"takes one value, in quotes where it has commas: \"{key}='{values}'\""
            raise UserError(f"{key}={values}: says how the sweep is run, and {one}")
    swept = {override.get_key_element() for override in overrides if override.is_sweep_override()}
    last = {override.get_key_element(): override for override in overrides if not _is_own(override)}
    _refuse_keys_given_twice(last, configurations)
    keys = tuple(sorted(swept & last.keys(), key=_position))
    combinations = BasicSweeper.split_arguments(list(last.values()), None)[0]
    named = configurations.items() or [(None, ())]
    jobs = [_job(keys, combination, name, extra) for name, extra in named for combination in combinations]
    if not jobs:
        given = ", ".join(last[key].input_line or key for key in keys)
        raise UserError(
            f"{given}: no value to train with{' in one of these' if len(keys) > 1 else ''}; give at least one"
        )
    unique = {job.name: job for job in jobs}  # seed=0,0 is one job
    fixed = [f"{key}={override.get_value_element_as_str()}" for key, override in last.items() if key not in keys]
    swept_keys = (CONFIGURATION, *keys) if configurations else keys
    return Grid(swept_keys, tuple(unique.values()), tuple(sorted(fixed)), repeated=len(jobs) - len(unique))


def _refuse_keys_given_twice(given: Mapping[str, Override], configurations: Mapping[str, Sequence[str]]) -> None:
    """One of them would win, and jobs be named after the other."""
    texts = {key.lstrip("+~"): override.input_line or key for key, override in given.items()}
    for name, extra in configurations.items():
        for override in extra:
            text = texts.get(override_key(override))
            if text:
                raise UserError(
                    f"{text}: the configuration {name} sets this too ({override}); "
                    "leave it out, or change it in hydra.sweeper.configurations"
                )


def sanitised(text: str) -> str:
    """Text as a part of a folder's name that needs no quoting in a shell: letters, digits and `_ . + - =`."""
    text = re.sub(r"[\s,:;/\\|]+", "+", text)
    return re.sub(r"[^\w.+=-]", "", text)


def _job(keys: Sequence[str], overrides: Iterable[str], name: str | None, extra: Sequence[str]) -> Job:
    given = {key: value for key, _, value in (override.partition("=") for override in overrides)}
    swept = (unquote_path(f"{key}={given[key]}").partition("=") for key in keys)
    values = ({} if name is None else {CONFIGURATION: name}) | {key: value for key, _, value in swept}
    return Job(_name(values), (*(f"{key}={value}" for key, value in given.items()), *extra), values)


def _name(values: dict[str, str]) -> str:
    """Content, not numbers: a grid that grows keeps the folders it had. Of a path its last part is the label."""
    parts = [
        f"{sanitised(key)}={sanitised(Path(value).name if is_path(key) else value)}" for key, value in values.items()
    ]
    name = ",".join(parts) or "single"
    exact = all(part == f"{key}={value}" for part, (key, value) in zip(parts, values.items(), strict=True))
    if exact and len(name) <= LONGEST:
        return name
    return f"{_cut(name, LONGEST - 9)}-{_digest(repr(values))}"


def _position(key: str) -> tuple[int, str]:
    return ({"dataset.fold": 2, "seed": 3}.get(key, 1), key)


def _short(key: str) -> str:
    return key.rpartition(".")[2]


def _is_own(override: Override) -> bool:
    return override.get_key_element().lstrip("+~").startswith(_OWN)


def _cut(text: str, length: int) -> str:
    return text[:length].rstrip("+-=,.")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
