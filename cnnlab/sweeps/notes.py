"""What runs that are compared do not have in common beside their configurations."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from cnnlab.config.flat import flat
from cnnlab.runs.run import Run
from cnnlab.sweeps.collect import Comparison

CIRCUMSTANCES = ("commit", "dirty", "precision", "threads", "replicas", "host.processor")
"""Keys of a run's record that may move its numbers; so may all versions."""


def circumstances(run: Run) -> dict[str, Any]:
    """The code, the versions and the machine of a run, by their keys in run.json."""
    record = flat(dict(run.record))
    return {key: value for key, value in record.items() if key in CIRCUMSTANCES or key.startswith("versions.")}


def provenance_notes(comparison: Comparison) -> list[str]:
    """A line for everything in which runs differ that no key of the configuration tells: commits, versions, threads."""
    records = [circumstances(entry.run) for entry in comparison.entries if entry.run]
    keys = dict.fromkeys(key for record in records for key in record)
    return [note for key in keys for note in _note(key, records)]


def _note(key: str, records: list[Mapping[str, Any]]) -> Iterator[str]:
    counts = Counter(_shown(key, record.get(key)) for record in records)
    if len(counts) > 1:
        shares = ", ".join(f"{value} ({count})" for value, count in counts.most_common())
        yield f"the runs differ in {key}: {shares}"


def _shown(key: str, value: Any) -> str:
    return str(value)[:9] if key == "commit" and value else str(value)
