"""What a comparison is about: the metric, and the configuration that the others are compared with."""

import re
from collections.abc import Sequence

import pandas as pd

from cnnlab.compare.metrics import metrics_of
from cnnlab.config.nearest import did_you_mean
from cnnlab.errors import UserError


def choose_metric(runs: pd.DataFrame, given: str | None) -> str:
    """The metric that is compared; not given: the accuracy at the end, on the validation split where there is one."""
    metrics = metrics_of(runs)
    if given is not None and given not in metrics:
        near = did_you_mean(f"final_{given}" if f"final_{given}" in metrics else given, metrics)
        raise UserError(f"by={given}: no such metric{near}; metrics: {', '.join(metrics)}")
    done = runs[runs["status"] == "done"]
    choices = [given] if given else ["final_val_accuracy", "final_accuracy"]
    measured = [name for name in choices if done[name].notna().any()]
    if not measured:
        raise UserError(f"by={given or choices[0]}: no run that is done has it")
    return measured[0]


def find_configuration(given: str, configurations: Sequence[str]) -> str:
    """The one configuration that a name, or some of its `key=value`, or a value alone, stands for.

    Raises:
        UserError: none or several are meant.
    """
    name = _spaced(given)
    before = r"^|, |\." if "=" in name else r"^|, |="
    part = re.compile(rf"(?:{before}){re.escape(name)}(?:, |$)")
    spaced = {_spaced(each): each for each in configurations}
    found = [spaced[name]] if name in spaced else [each for text, each in spaced.items() if part.search(text)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"baseline={given}: several configurations fit: {'; '.join(found)}; give all of one's name")
    parts = [part for each in configurations for part in each.split(", ")]
    near = did_you_mean(name, [*configurations, *parts, *(part.rpartition("=")[2] for part in parts)])
    raise UserError(f"baseline={given}: no such configuration{near}; there are {'; '.join(configurations)}")


def _spaced(name: str) -> str:
    """A name with a space after every comma, whether it was typed or not."""
    return ", ".join(re.split(r"\s*,\s*", name.strip()))
