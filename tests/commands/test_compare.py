"""`cnnlab compare`: on real runs of a few seconds."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from cnnlab import cli
from cnnlab.compare.choose import find_configuration
from cnnlab.compare.collect import collect, same_configuration
from cnnlab.compare.metrics import USUAL, format_difference, format_metric, metric_names
from cnnlab.compare.notes import counting_notes
from cnnlab.compare.tables import measured, runs_table, summary_table
from cnnlab.errors import UserError
from cnnlab.runs.run import Run
from cnnlab.sweeps.grid import Job
from cnnlab.sweeps.state import SweepState


def copied(run: Path, to: Path, *changes: tuple[str, str], **record) -> Path:
    """A copy of a run with other lines in its config.yaml and other fields in its record."""
    shutil.copytree(run, to)
    text = (to / "config.yaml").read_text()
    for line, other in changes:
        assert line in text
        text = text.replace(line, other)
    (to / "config.yaml").write_text(text)
    (to / "run.json").write_text(json.dumps(json.loads((to / "run.json").read_text()) | record))
    return to


def test_a_sweep_is_compared_in_its_own_folder(sweep_of_four, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compare", f"runs={sweep_of_four}"]) == 0
    assert list(tmp_path.iterdir()) == []
    told = capsys.readouterr()
    folder = sweep_of_four / "compare"
    assert told.out.strip() == str(folder)
    runs = pd.read_csv(folder / "runs.csv")
    assert list(runs["status"]) == ["done", "done", "done", "failed"]
    assert list(runs["optimizer"]) == ["adam", "adam", "sgd", "sgd"]
    assert list(runs["seed"]) == [0, 1, 0, 1]
    for figure in ("steps_accuracy.png", "steps_loss.png"):
        assert (folder / figure).read_bytes().startswith(b"\x89PNG")
    best = "baseline: optimizer=adam (the largest mean final_val_accuracy of two seeds or more; choose another with"
    for text in (told.err, (folder / "verdicts.txt").read_text(), (folder / "report.html").read_text()):
        assert best in text
        assert "nothing can be said of final_val_accuracy with n = 1 shared seeds" in text
        assert "intervals of means: Student" in text
        assert "optimizer=sgd,seed=1 is failed: no such file" in text


def test_a_comparison_that_is_cut_leaves_no_verdicts_of_an_earlier_one_beside_new_tables(sweep_of_four, tmp_path):
    sweep = shutil.copytree(sweep_of_four, tmp_path / "sweep")
    assert cli.main(["compare", f"runs={sweep}"]) == 0
    (sweep / "compare" / "epochs.png").unlink()
    (sweep / "compare" / "epochs.png").mkdir()  # where a figure cannot be written
    assert cli.main(["compare", f"runs={sweep}"]) != 0
    assert (sweep / "compare" / "runs.csv").exists()
    assert not {"verdicts.txt", "report.html"} & {path.name for path in (sweep / "compare").iterdir()}


def test_accuracies_are_told_in_percent_and_losses_in_nats():
    assert format_metric(0.59354, "final_val_accuracy") == "59.35%"
    assert format_metric(1.25, "best_loss") == "1.2500"
    assert format_difference(-0.0301, "final_val_accuracy", (-0.0998, 0.0395)) == "-3.01 [-9.98, +3.95] points"
    assert format_difference(0.5, "final_loss") == "+0.5000"


def test_the_tables_hold_what_the_runs_measured(sweep_of_four):
    runs = runs_table(collect([str(sweep_of_four)]))
    history = pd.read_csv(sweep_of_four / "optimizer=adam,seed=1" / "metrics.csv")
    row = runs[runs["run"] == "optimizer=adam,seed=1"].iloc[0]
    assert row["best_val_accuracy"] == history["val_accuracy"].max()
    assert row["final_loss"] == history["loss"].iloc[-1]
    assert row["mean_val_accuracy"] == pytest.approx(history["val_accuracy"].mean())
    assert row["best_val_loss"] == history["val_loss"].min()
    assert (row["epochs"], row["steps"]) == (2, history["step"].iloc[-1])
    summary = summary_table(runs).set_index(["configuration", "metric"])
    adam = runs[runs["configuration"] == "optimizer=adam"]["final_accuracy"]
    found = summary.loc[("optimizer=adam", "final_accuracy")]
    assert found["mean"] == pytest.approx(adam.mean())
    assert found["std"] == pytest.approx(adam.std())
    assert found["low"] < adam.mean() < found["high"]
    assert summary.loc[("optimizer=sgd", "final_accuracy")]["n"] == 1


def test_the_best_of_what_chose_the_model_is_that_of_any_validation_also_within_an_epoch(sweep_of_four, tmp_path):
    run = Run.open(shutil.copytree(sweep_of_four / "optimizer=adam,seed=0", tmp_path / "run"))
    epochs = measured(run)
    run.update(best={"step": 3, "epoch": 1, "monitor": "val_accuracy", "value": epochs["best_val_accuracy"] + 0.01})
    assert measured(run) == epochs | {"best_val_accuracy": epochs["best_val_accuracy"] + 0.01}


def test_a_metric_that_became_nan_has_no_final_value_and_the_run_is_told_not_to_count_in_it(sweep_of_four, tmp_path):
    run = shutil.copytree(sweep_of_four / "optimizer=adam,seed=0", tmp_path / "run")
    history = pd.read_csv(run / "metrics.csv")
    first = history["val_loss"][0]
    history.loc[len(history) - 1, "val_loss"] = float("nan")
    history.to_csv(run / "metrics.csv", index=False, na_rep="nan")
    found = measured(Run.open(run))
    assert [name for name, value in found.items() if pd.isna(value)] == ["final_val_loss", "mean_val_loss"]
    assert found["best_val_loss"] == first
    others = [str(sweep_of_four / name) for name in ("optimizer=adam,seed=1", "optimizer=sgd*")]
    comparison = collect([str(run), *others])
    runs = runs_table(comparison)
    summary = summary_table(runs).set_index(["configuration", "metric"])
    assert summary.loc[("optimizer=adam", "final_val_loss")]["n"] == 1
    assert summary.loc[("optimizer=adam", "final_val_accuracy")]["n"] == 2
    note = "run is done, but has no number for final_val_loss: it does not count in that"
    assert note in counting_notes(comparison, runs, "final_val_loss")
    assert note not in counting_notes(comparison, runs, "final_val_accuracy")


def test_runs_of_no_sweep_are_told_apart_by_what_differs_in_their_configurations(sweep_of_four):
    comparison = collect([str(sweep_of_four / "optimizer=*")])
    assert comparison.keys == ["optimizer"]
    assert comparison.configurations == ["optimizer=adam", "optimizer=sgd"]
    assert [entry.seed for entry in comparison.entries] == [0, 1, 0]


def test_a_sweep_that_another_grid_extended_mixes_no_configurations(sweep_of_four, tmp_path, capsys):
    sweep = shutil.copytree(sweep_of_four, tmp_path / "keys")
    (sweep / "optimizer=adam,seed=1").rename(sweep / "seed=1")
    job = Job("seed=1", ("optimizer=adam", "seed=1"), {"seed": "1"})
    SweepState.of_grid(sweep, ["seed"], "cnnlab train -m optimizer=adam seed=1", [job]).save()
    assert observations(sweep) == {"optimizer=adam": [0, 1], "optimizer=sgd": [0]}
    assert cli.main(["compare", f"runs={sweep}"]) == 0
    assert "configurations are called by the settings in which the runs differ" in capsys.readouterr().err

    sweep = shutil.copytree(sweep_of_four, tmp_path / "values")
    config = sweep / "optimizer=adam,seed=1" / "config.yaml"
    config.write_text(config.read_text().replace("learning_rate: 0.001", "learning_rate: 0.1"))
    found = {name.split("learning_rate=")[1]: seeds for name, seeds in observations(sweep).items() if "adam" in name}
    assert found == {"0.001": [0], "0.1": [1]}


def test_what_each_seed_was_given_by_an_interpolation_makes_no_other_configuration(sweep_of_four, tmp_path):
    sweep = shutil.copytree(sweep_of_four, tmp_path / "sweep")
    jobs = []
    for seed in (0, 1):
        name = f"optimizer=adam,seed={seed}"
        jobs.append(Job(name, ("weights=w${seed}.keras",), {"optimizer": "adam", "seed": str(seed)}))
        text = (sweep / name / "config.yaml").read_text()
        (sweep / name / "config.yaml").write_text(text.replace("weights: null", f"weights: /w{seed}.keras"))
    SweepState.of_grid(sweep, ["optimizer", "seed"], "cnnlab", jobs).save()
    assert observations(sweep) == {"optimizer=adam": [0, 1], "optimizer=sgd": [0]}


def observations(sweep: Path) -> dict[str, list[int | str | None]]:
    """The seeds of the runs of a sweep that count, by their configurations."""
    entries = [entry for entry in collect([str(sweep)]).entries if entry.counts]
    return {
        name: sorted(entry.seed for entry in entries if entry.configuration == name)
        for name in dict.fromkeys(entry.configuration for entry in entries)
    }


def test_the_newest_run_of_a_configuration_and_seed_counts_and_the_correction_is_told(sweep_of_four, tmp_path, capsys):
    adam = [sweep_of_four / f"optimizer=adam,seed={seed}" for seed in (0, 1)]
    for run in adam:
        copied(run, tmp_path / f"faster, {run.name}", ("learning_rate: 0.001", "learning_rate: 0.1"))
    for name, ended in (("newer", "2999-01-01T00:00:00+00:00"), ("older", "1999-01-01T00:00:00+00:00")):
        copied(adam[0], tmp_path / name, ended=ended)
    history = (tmp_path / "newer" / "metrics.csv").read_text().splitlines()
    values = dict(zip(history[0].split(","), history[-1].split(","), strict=True)) | {"val_accuracy": "0.125"}
    history[-1] = ",".join(values.values())
    (tmp_path / "newer" / "metrics.csv").write_text("\n".join(history) + "\n")

    paths = [*adam, *(tmp_path / name for name in ("newer", "older")), tmp_path / "faster*"]
    runs = ",".join(f"'{path}'" for path in paths)
    assert cli.main(["compare", f"runs=[{runs}]", f"hydra.run.dir={tmp_path / 'compare'}"]) == 0
    folder = tmp_path / "compare"
    summary = pd.read_csv(folder / "summary.csv").set_index(["configuration", "metric"])
    row = summary.loc[("optimizer.learning_rate=0.001", "final_val_accuracy")]
    other = pd.read_csv(adam[1] / "metrics.csv")["val_accuracy"].iloc[-1]
    assert row["n"] == 2
    assert row["mean"] == pytest.approx((0.125 + other) / 2)
    counted = pd.read_csv(folder / "runs.csv").set_index("run")["counted"]
    assert dict(counted.drop([name for name in counted.index if "faster" in name])) == {
        "optimizer=adam,seed=0": False,
        "optimizer=adam,seed=1": True,
        "newer": True,
        "older": False,
    }
    told, page = capsys.readouterr().err, (folder / "report.html").read_text()
    newest = "they are one observation, for which the newest"
    (line,) = [line for line in told.splitlines() if newest in line]
    assert "newer, " in line
    assert "their final_val_accuracy differs: " in line
    correction = (
        "p and intervals are Bonferroni-corrected for 1 comparison (all pairs, since these results chose the baseline)"
    )
    assert correction in told
    assert newest in page
    assert correction in page
    assert set(pd.read_csv(folder / "paired_differences.csv")["comparisons"]) == {1}


def test_a_run_that_is_named_twice_is_one_run(sweep_of_four):
    run = sweep_of_four / "optimizer=adam,seed=0"
    assert len(collect([str(run), str(run), str(run.parent / "optimizer=adam*")]).entries) == 2


def test_two_runs_of_one_configuration_and_seed_are_told_to_be_one_observation(sweep_of_four, tmp_path):
    run = sweep_of_four / "optimizer=adam,seed=0"
    comparison = collect([str(run), str(copied(run, tmp_path / "copy"))])
    notes = counting_notes(comparison, runs_table(comparison), "final_val_accuracy")
    assert any("have one configuration and seed: they are one observation" in note for note in notes)


def test_what_does_not_count_is_told_beside_a_given_baseline(sweep_of_four, tmp_path, capsys):
    (sweep_of_four / "optimizer=notes").mkdir()
    bare = copied(sweep_of_four / "optimizer=sgd,seed=0", tmp_path / "bare")
    (bare / "metrics.csv").unlink()
    runs = f"runs=['{sweep_of_four}/optimizer=*','{bare}']"
    assert cli.main(["compare", runs, "baseline=optimizer=sgd", f"hydra.run.dir={tmp_path}/compare"]) == 0
    (sweep_of_four / "optimizer=notes").rmdir()
    told = capsys.readouterr().err
    assert "left out, for there is no run in it: optimizer=notes" in told
    assert "bare is unknown: its metrics.csv is missing or empty" in told
    assert "baseline: optimizer=sgd (as given)" in told
    assert "optimizer=adam and optimizer=sgd: nothing can be said" in told


def test_what_sets_one_option_apart_from_itself_is_another_configuration(sweep_of_four, tmp_path):
    """The option's name does not say it all where the same option has two learning rates."""
    faster = copied(
        sweep_of_four / "optimizer=adam,seed=0", tmp_path / "faster", ("learning_rate: 0.001", "learning_rate: 0.1")
    )
    comparison = collect([str(sweep_of_four / "optimizer=*"), str(faster)])
    assert comparison.keys == ["optimizer", "optimizer.learning_rate"]
    assert len(comparison.configurations) == 3


LONG = "/" + "long" * 20


@pytest.mark.parametrize(
    ("key", "reader"),
    [("weights", ""), ("dataset.root", "cnnlab.data.image_folder.image_folder"), ("dataset.root", "plugin.scans")],
)
def test_other_weights_to_start_from_or_other_photographs_are_another_configuration(
    sweep_of_four, tmp_path, key, reader
):
    own = ("_target_: cnnlab.data.digits.digits", f"_target_: {reader}\n  root: ROOT")
    runs = []
    for seed in (0, 1):
        for value in (f"{LONG}/a", f"{LONG}/b"):
            changes = [("weights: null", f"weights: {value}")] if key == "weights" else []
            changes += [(own[0], own[1].replace("ROOT", value))] if key == "dataset.root" else []
            source = sweep_of_four / f"optimizer=adam,seed={seed}"
            runs.append(str(copied(source, tmp_path / f"{value[-1]}{seed}", *changes)))
    comparison = collect(runs)
    assert comparison.configurations == [f"{key}={LONG}/a", f"{key}={LONG}/b"]
    assert all(entry.counts for entry in comparison.entries)


@pytest.mark.parametrize(
    "reader", ["cnnlab.data.mnist.mnist", "cnnlab.data.image_folder.image_folder\n  folder: cats_vs_dogs"]
)
def test_published_data_are_the_same_wherever_they_lie(sweep_of_four, tmp_path, reader):
    source = sweep_of_four / "optimizer=adam,seed=0"
    runs = []
    for root in "ab":
        change = ("_target_: cnnlab.data.digits.digits", f"_target_: {reader}\n  root: {root}")
        runs.append(str(copied(source, tmp_path / "runs" / root, change)))
    assert same_configuration(*map(Run.open, map(Path, runs)))


def test_a_seed_that_was_set_alone_makes_another_observation(sweep_of_four, tmp_path):
    run = sweep_of_four / "optimizer=adam,seed=0"
    shuffle = next(line for line in (run / "config.yaml").read_text().splitlines() if line.startswith("  shuffle: "))
    other = copied(run, tmp_path / "other", (shuffle, "  shuffle: 7"))
    comparison = collect([str(sweep_of_four / "optimizer=*"), str(other)])
    assert [entry.seed for entry in comparison.entries] == [0, 1, 0, "0, shuffle 7"]
    assert all(entry.counts for entry in comparison.entries)
    assert list(summary_table(runs_table(comparison)).query("metric == 'final_loss'")["n"]) == [3, 1]


CONFIGURATIONS = [
    "optimizer=adam, optimizer.learning_rate=0.1",
    "optimizer=sgd, optimizer.learning_rate=1",
    "augmentation=[a,b]",
]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("optimizer=adam, optimizer.learning_rate=0.1", 0),
        ("optimizer=adam,optimizer.learning_rate=0.1", 0),
        ("optimizer=adam", 0),
        ("adam", 0),
        ("learning_rate=0.1", 0),
        ("1", 1),
        ("augmentation=[a,b]", 2),
        ("[a,b]", 2),
    ],
)
def test_a_baseline_is_named_by_as_much_as_tells_it_apart(given, found):
    assert find_configuration(given, CONFIGURATIONS) == CONFIGURATIONS[found]


def test_a_baseline_that_fits_several_or_none_is_refused():
    with pytest.raises(UserError, match=r"baseline=sgd: several configurations fit: optimizer=sgd, seed=1; optimizer"):
        find_configuration("sgd", ["optimizer=sgd, seed=1", "optimizer=sgd, seed=2"])
    with pytest.raises(UserError, match=r"baseline=adm: no such configuration; did you mean adam\?; there are"):
        find_configuration("adm", CONFIGURATIONS)


def test_no_interval_of_an_accuracy_leaves_0_to_1(sweep_of_four):
    summary = summary_table(runs_table(collect([str(sweep_of_four)]))).dropna()
    assert {*metric_names(USUAL)} >= {*summary["metric"]}
    shares = summary[summary["metric"].str.endswith("accuracy")]
    assert len(shares)
    assert shares["low"].between(0, 1).all()
    assert shares["high"].between(0, 1).all()
    assert (summary["low"] > 0).all()


def test_a_run_that_was_killed_does_not_count(sweep_of_four, tmp_path):
    sweep = shutil.copytree(sweep_of_four, tmp_path / "test")
    path = sweep / "optimizer=adam,seed=0" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "running"}))
    assert [entry.status for entry in collect([str(sweep)]).entries] == ["interrupted", "done", "done", "failed"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("by=final_val_acuracy", "did you mean final_val_accuracy?"),
        (
            "baseline=optimizer=adamm",
            "no such configuration; did you mean optimizer=adam?; there are optimizer=adam; optimizer=sgd",
        ),
        ("baseline=", "baseline=: no such configuration; there are optimizer=adam"),
        ("by=val_loss", "did you mean final_val_loss?"),
        ("runs=/nowhere", "runs=/nowhere: no such folder"),
        ("runs=/nowhere/*", "runs=/nowhere/*: no such folder"),
        ("runs=[]", "runs=[]: give a sweep's folder, or runs"),
        ("confidence=1.5", "confidence=1.5"),
    ],
)
def test_mistakes_are_told_in_one_line(sweep_of_four, capsys, argument, message):
    arguments = [] if argument.startswith("runs=") else [f"runs={sweep_of_four}"]
    assert cli.main(["compare", *arguments, argument]) == 2
    assert message in capsys.readouterr().err


def test_brackets_in_the_name_of_a_folder_are_no_pattern(sweep_of_four, tmp_path):
    above = tmp_path / "out [1]"
    shutil.copytree(sweep_of_four, above / "test")
    assert len(collect([str(above / "test" / "optimizer=adam*")]).entries) == 2


def test_a_folder_of_sweeps_is_no_sweep(sweep_of_four, capsys):
    assert cli.main(["compare", f"runs={sweep_of_four.parent}"]) == 2
    assert "holds sweeps; give one of them: test" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["compare", "doctor"])
def test_nothing_is_compared_or_looked_up_several_times(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main([command, "-m"]) == 2
    assert capsys.readouterr().err == f"error: -m: {command} has nothing to sweep over; leave it out\n"
    assert list(tmp_path.iterdir()) == []
