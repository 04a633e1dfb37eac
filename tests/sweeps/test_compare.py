"""`cnnlab compare`: on real runs of a few seconds."""

import json
import shutil

import pandas as pd
import pytest

from cnnlab import cli
from cnnlab.sweeps.collect import collect
from cnnlab.sweeps.tables import runs_table, summary_table


def test_a_sweep_is_compared_in_its_own_folder(sweep_of_four, capsys):
    assert cli.main(["compare", f"runs={sweep_of_four}"]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() == str(sweep_of_four / "compare")
    runs = pd.read_csv(sweep_of_four / "compare" / "runs.csv")
    assert list(runs["status"]) == ["done", "done", "done", "failed"]
    assert list(runs["optimizer"]) == ["adam", "adam", "sgd", "sgd"]
    assert list(runs["seed"]) == [0, 1, 0, 1]
    verdicts = (sweep_of_four / "compare" / "verdicts.txt").read_text()
    assert "nothing can be said of final_val_accuracy with n = 1 shared seeds" in verdicts
    assert "optimizer=sgd,seed=1 is failed: no such file" in verdicts
    for figure in ("steps_accuracy.png", "steps_loss.png"):
        assert (sweep_of_four / "compare" / figure).read_bytes().startswith(b"\x89PNG")


def test_the_tables_hold_what_the_runs_measured(sweep_of_four):
    runs = runs_table(collect([str(sweep_of_four)]))
    history = pd.read_csv(sweep_of_four / "optimizer=adam,seed=1" / "metrics.csv")
    row = runs[runs["run"] == "optimizer=adam,seed=1"].iloc[0]
    assert row["best_val_accuracy"] == history["val_accuracy"].max()
    assert row["final_loss"] == history["loss"].iloc[-1]
    assert row["mean_val_accuracy"] == pytest.approx(history["val_accuracy"].mean())
    assert row["best_val_loss"] == history["val_loss"].min()
    assert (row["epochs"], row["steps"]) == (2, history["step"].iloc[-1])
    summary = summary_table(runs).set_index(["arm", "metric"])
    adam = runs[runs["arm"] == "optimizer=adam"]["final_accuracy"]
    found = summary.loc[("optimizer=adam", "final_accuracy")]
    assert found["mean"] == pytest.approx(adam.mean())
    assert found["std"] == pytest.approx(adam.std())
    assert found["low"] < adam.mean() < found["high"]
    assert summary.loc[("optimizer=sgd", "final_accuracy")]["n"] == 1


def test_runs_of_no_sweep_are_told_apart_by_what_differs_in_their_configurations(sweep_of_four):
    comparison = collect([str(sweep_of_four / "optimizer=*")])
    assert comparison.keys == ["optimizer"]
    assert comparison.arms == ["optimizer=adam", "optimizer=sgd"]
    assert [entry.seed for entry in comparison.entries] == [0, 1, 0]


def test_a_run_that_was_killed_does_not_count(sweep_of_four, tmp_path):
    sweep = shutil.copytree(sweep_of_four, tmp_path / "test")
    path = sweep / "optimizer=adam,seed=0" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "running"}))
    assert [entry.status for entry in collect([str(sweep)]).entries] == ["interrupted", "done", "done", "failed"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("metric=final_val_acuracy", "did you mean final_val_accuracy?"),
        ("baseline=optimizer=adamm", "arms: optimizer=adam; optimizer=sgd"),
        ("metric=val_loss", "did you mean final_val_loss?"),
        ("runs=/nowhere", "runs=/nowhere: no such folder"),
        ("runs=[]", "runs=[]: give a sweep's folder, or runs"),
        ("confidence=1.5", "confidence=1.5"),
    ],
)
def test_mistakes_are_told_in_one_line(sweep_of_four, capsys, argument, message):
    key, _, value = argument.partition("=")
    arguments = [f"runs={sweep_of_four}"] if key != "runs" else []
    quoted = f"{key}='{value}'" if key == "baseline" else argument
    assert cli.main(["compare", *arguments, quoted]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_of_sweeps_is_no_sweep(sweep_of_four, capsys):
    assert cli.main(["compare", f"runs={sweep_of_four.parent}"]) == 2
    assert "holds sweeps; give one of them: test" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["compare", "doctor"])
def test_nothing_is_compared_or_looked_up_several_times(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main([command, "-m"]) == 2
    assert capsys.readouterr().err == f"error: -m: {command} has nothing to sweep over; leave it out\n"
    assert list(tmp_path.iterdir()) == []
