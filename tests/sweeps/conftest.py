"""Sweeps of small real trainings."""

import shutil
from pathlib import Path

import pytest

from cnnlab.sweeps.grid import Cell
from cnnlab.sweeps.state import Ledger


@pytest.fixture(scope="module")
def sweep_of_four(trained_sweep, tmp_path_factory) -> Path:
    """A sweep of two optimizers and two seeds, of which one job never began; each file of tests has its own copy."""
    return shutil.copytree(trained_sweep, tmp_path_factory.mktemp("sweeps") / "test")


@pytest.fixture(scope="session")
def trained_sweep(train, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sweeps") / "test"
    cells = [
        Cell(f"optimizer={name},seed={seed}", (), {"optimizer": name, "seed": str(seed)})
        for name in ("adam", "sgd")
        for seed in (0, 1)
    ]
    for cell in cells[:3]:
        run = train(f"optimizer={cell.values['optimizer']}", f"seed={cell.values['seed']}")
        shutil.copytree(run, folder / cell.name)
    ledger = Ledger.of_grid(folder, ["optimizer", "seed"], "cnnlab train -m optimizer=adam,sgd seed=0,1", cells)
    ledger.end(cells[3].name, "failed", "no such file")
    return folder
