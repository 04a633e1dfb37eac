"""Full training states on disk: written whole or not at all, the last few and the best."""

import json
import logging
import os
import shutil
import zipfile
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.errors import UserError
from cnnlab.runs.files import write_atomically

log = logging.getLogger(__name__)

BEST = "best.npz"


class DamagedCheckpoint(Exception):
    """A checkpoint that cannot be read back whole."""


class Checkpoints:
    """The checkpoints/ folder of a run.

    A state is one .npz file: the variables by their places (see `training_variables`) and the loop's own state as
    JSON. The zip format's checksums tell a damaged file from a whole one.

    Args:
        directory: the folder; made when first written to.
        keep: how many of the last states stay.
    """

    def __init__(self, directory: Path, keep: int):
        self.directory = directory
        self._keep = keep

    def save(self, variables: Mapping[str, Any], state: dict[str, Any], *, best: bool) -> None:
        """Write the state after `state["step"]` steps; `best` also makes it the best one.

        Args:
            variables: Keras variables by their places.
            state: what else the loop must know to resume; JSON.
            best: whether no earlier state was better.
        """
        path = self.directory / f"step-{state['step']:08d}.npz"
        arrays: dict[str, Any] = {place: np.asarray(variable) for place, variable in variables.items()}
        text = np.frombuffer(json.dumps(state).encode(), np.uint8)
        first = self.directory / BEST if best else path  # the best before the state that says there is one
        with write_atomically(first) as temporary:
            np.savez(temporary, state=text, **arrays)
        if best:
            with write_atomically(path) as temporary:
                _link_or_copy(first, temporary)
        states = self._states()
        later = [state for state in states if state > path]  # damaged ones, or this state would not come after them
        for old in [*states[: len(states) - len(later)][: -self._keep], *later]:
            old.unlink()

    def restore_latest(self, variables: Mapping[str, Any]) -> dict[str, Any] | None:
        """Put the newest readable state back into `variables` and return the loop's part of it.

        A damaged state is reported and the one before it taken. None if there is no state at all.

        Raises:
            UserError: all states are damaged, or they belong to another model.
        """
        damaged = []
        candidates = [*reversed(self._states()), *self.directory.glob(BEST)]
        for path in candidates:
            try:
                arrays, state = _read(path)
            except DamagedCheckpoint as error:
                log.warning("%s: %s; falling back to the state before it", path, error)
                damaged.append(path.name)
                continue
            _assign(path, variables, arrays)
            return state
        if damaged:
            raise UserError(f"{self.directory}: every checkpoint is damaged ({', '.join(damaged)}); train anew")
        return None

    def _states(self) -> list[Path]:
        return sorted(self.directory.glob("step-*.npz"))


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            state = json.loads(archive["state"].tobytes())
            arrays = {name: archive[name] for name in archive.files if name != "state"}
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise DamagedCheckpoint(f"damaged ({error or type(error).__name__})") from error
    return arrays, state


def _assign(path: Path, variables: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Put every array into the variable of its place, where places, their order and their shapes agree."""
    here = [f"{place} {tuple(variable.shape)}" for place, variable in variables.items()]
    there = [f"{place} {array.shape}" for place, array in arrays.items()]
    for ours, saved in zip_longest(here, there, fillvalue="nothing"):
        if ours != saved:
            raise UserError(
                f"{path}: holds the state of another model or optimizer than the configuration describes: "
                f"{saved} where it has {ours}"
            )
    for place, variable in variables.items():
        variable.assign(arrays[place])


def _link_or_copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)
