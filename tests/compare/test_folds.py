"""Runs of folds: what makes them pairs, and what is told of them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cnnlab import cli
from cnnlab.compare.collect import collect
from cnnlab.compare.statistics import paired_differences
from cnnlab.compare.tables import runs_table
from cnnlab.sweeps.grid import Job
from cnnlab.sweeps.state import SweepState

COMMAND = "cnnlab train -m optimizer=adam,sgd dataset.folds=3 dataset.fold=0,1"


@pytest.fixture(scope="module")
def swept(train, tmp_path_factory) -> Path:
    """A sweep of two optimizers and two of three folds."""
    folder = tmp_path_factory.mktemp("sweeps") / "folds"
    jobs = [
        Job(f"optimizer={name},dataset.fold={fold}", (), {"optimizer": name, "dataset.fold": str(fold)})
        for name in ("adam", "sgd")
        for fold in (0, 1)
    ]
    for job in jobs:
        given = [f"{key}={value}" for key, value in job.values.items()]
        shutil.copytree(train("dataset.folds=3", "trainer.steps=4", *given), folder / job.name)
    SweepState.of_grid(folder, ["optimizer", "dataset.fold"], COMMAND, jobs).save()
    return folder


@pytest.fixture(scope="module")
def compared(swept) -> Path:
    assert cli.main(["compare", f"runs={swept}"]) == 0
    return swept / "compare"


def test_folds_are_no_configurations(swept):
    for comparison in (collect([str(swept)]), collect([str(swept / "*=*")])):
        assert comparison.configurations == ["optimizer=adam", "optimizer=sgd"]
        assert [entry.fold for entry in comparison.entries] == ["0 of 3", "1 of 3"] * 2
        assert all(entry.counts for entry in comparison.entries)
        assert comparison.over == "folds"


def test_pairs_are_corrected_by_the_sizes_of_the_splits(compared):
    runs = pd.read_csv(compared / "runs.csv")
    np.testing.assert_allclose(runs["held_out"], 479 / 958)
    paired = pd.read_csv(compared / "paired_differences.csv")
    assert paired["n"].tolist() == [2]
    assert paired["held_out"].tolist() == pytest.approx([0.5])


def test_seeds_that_draw_their_own_validation_images_are_corrected_like_folds(trained_sweep, tmp_path):
    swept = shutil.copytree(trained_sweep, tmp_path / "test")
    (paired,) = paired_differences(runs_table(collect([str(swept)])), "final_val_accuracy", "optimizer=adam")
    assert paired.held_out == pytest.approx(288 / 1149)
    assert paired.over == "seeds"
    for run in swept.glob("*/run.json"):
        record = json.loads(run.read_text())
        record["fingerprints"]["validation"] = "0" * 16  # as with seeds.split=0
        run.write_text(json.dumps(record))
    (paired,) = paired_differences(runs_table(collect([str(swept)])), "final_val_accuracy", "optimizer=adam")
    assert paired.held_out == 0


def test_the_report_says_which_test_was_used(compared):
    for text in ((compared / "verdicts.txt").read_text(), (compared / "report.html").read_text().replace("&#39;", "'")):
        assert "differences: Nadeau and Bengio's corrected resampled t tests over shared folds" in text
        assert "the variance of a mean of n differences is (1/n + 0.5) times theirs" in text
        assert "intervals of means: Student's t over the folds, widened for the training images they share" in (text)
    page = (compared / "report.html").read_text()
    assert "0 of 3" in page
