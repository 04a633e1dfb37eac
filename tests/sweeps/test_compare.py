"""`cnnlab compare`: on real runs of a few seconds."""

import json
import shutil

import pandas as pd
import pytest

from cnnlab import cli
from cnnlab.sweeps.collect import collect
from cnnlab.sweeps.grid import Cell
from cnnlab.sweeps.ledger import Ledger
from cnnlab.sweeps.tables import runs_table, summary_table


@pytest.fixture(scope="module")
def cells(train, tmp_path_factory):
    """A sweep of two optimizers and two seeds, of which one cell never began."""
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


def test_a_sweep_is_compared_in_its_own_folder(cells, capsys):
    assert cli.main(["compare", f"runs={cells}"]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() == str(cells / "compare")
    runs = pd.read_csv(cells / "compare" / "runs.csv")
    assert list(runs["status"]) == ["done", "done", "done", "failed"]
    assert list(runs["optimizer"]) == ["adam", "adam", "sgd", "sgd"]
    assert list(runs["seed"]) == [0, 1, 0, 1]
    verdicts = (cells / "compare" / "verdicts.txt").read_text()
    assert "nothing can be said of final_val_accuracy with n = 1 shared seeds" in verdicts
    assert "optimizer=sgd,seed=1 is failed: no such file" in verdicts
    for figure in ("steps_accuracy.png", "steps_loss.png"):
        assert (cells / "compare" / figure).read_bytes().startswith(b"\x89PNG")


def test_the_tables_hold_what_the_runs_measured(cells):
    runs = runs_table(collect([str(cells)]))
    history = pd.read_csv(cells / "optimizer=adam,seed=1" / "metrics.csv")
    row = runs[runs["run"] == "optimizer=adam,seed=1"].iloc[0]
    assert row["best_val_accuracy"] == history["val_accuracy"].max()
    assert row["final_loss"] == history["loss"].iloc[-1]
    assert row["best_val_loss"] == history["val_loss"].min()
    assert (row["epochs"], row["steps"]) == (2, history["step"].iloc[-1])
    summary = summary_table(runs).set_index(["arm", "metric"])
    adam = runs[runs["arm"] == "optimizer=adam"]["final_accuracy"]
    found = summary.loc[("optimizer=adam", "final_accuracy")]
    assert found["mean"] == pytest.approx(adam.mean())
    assert found["std"] == pytest.approx(adam.std())
    assert found["low"] < adam.mean() < found["high"]
    assert summary.loc[("optimizer=sgd", "final_accuracy")]["n"] == 1


def test_runs_of_no_sweep_are_told_apart_by_what_differs_in_their_configurations(cells):
    comparison = collect([str(cells / "optimizer=*")])
    assert comparison.keys == ["optimizer"]
    assert comparison.arms == ["optimizer=adam", "optimizer=sgd"]
    assert [entry.seed for entry in comparison.entries] == [0, 1, 0]


def test_a_run_that_was_killed_does_not_count(cells, tmp_path):
    sweep = shutil.copytree(cells, tmp_path / "test")
    path = sweep / "optimizer=adam,seed=0" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "running"}))
    assert [entry.status for entry in collect([str(sweep)]).entries] == ["interrupted", "done", "done", "failed"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("metric=final_val_acuracy", "did you mean final_val_accuracy?"),
        ("baseline=optimizer=adamm", "arms: optimizer=adam; optimizer=sgd"),
        ("runs=/nowhere", "runs=/nowhere: no such folder"),
        ("confidence=1.5", "confidence=1.5"),
    ],
)
def test_mistakes_are_told_in_one_line(cells, capsys, argument, message):
    key, _, value = argument.partition("=")
    arguments = [f"runs={cells}"] if key != "runs" else []
    quoted = f"{key}='{value}'" if key == "baseline" else argument
    assert cli.main(["compare", *arguments, quoted]) == 2
    assert message in capsys.readouterr().err
