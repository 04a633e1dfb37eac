"""Another loss than the cross-entropy, and metrics, from the step to the tables."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from cnnlab import cli

OTHER = ("loss=focal", "metric=[auc,mean_squared_error]", "trainer.monitor=val_auc")
LENGTH = ("trainer.steps=30", "trainer.steps_per_epoch=12", "trainer.checkpoint_every='5 steps'")
MIXED = ("augmentation=[shift,mixup]", "augmentation.shift.shift=1")


@pytest.fixture(scope="module")
def run(train):
    """Two epochs and a half, with a checkpoint every five steps, all of which stay."""
    return train(*OTHER, *LENGTH, *MIXED, "trainer.keep_checkpoints=9")


@pytest.fixture(scope="module")
def together(train):
    """The same training, three steps in a call."""
    return train(*OTHER, *LENGTH, *MIXED, "trainer.steps_per_call=3")


def history(run) -> pd.DataFrame:
    return pd.read_csv(run / "metrics.csv").drop(columns=["seconds", "images_per_second"])


def test_they_have_columns_of_their_own_beside_the_usual_ones(run):
    assert list(history(run)) == [
        *("epoch", "step", "loss", "accuracy", "auc", "mean_squared_error"),
        *("val_loss", "val_accuracy", "val_focal", "val_auc", "val_mean_squared_error", "learning_rate"),
    ]
    assert not history(run).isna().any(axis=None)


def test_the_monitored_metric_chooses_the_model_which_evaluates_to_the_same(run):
    best = json.loads((run / "run.json").read_text())["best"]
    row = history(run).loc[lambda rows: rows.val_auc.idxmax()]
    assert (best["monitor"], best["value"], best["epoch"]) == ("val_auc", row.val_auc, row.epoch)
    assert cli.main(["eval", f"run={run}", "split=validation"]) == 0
    figures = json.loads((run / "eval" / "validation" / "metrics.json").read_text())
    assert figures["metrics"] == pytest.approx(
        {name: row[f"val_{name}"] for name in ("auc", "mean_squared_error")}, abs=1e-5
    )
    assert figures["loss"] == pytest.approx(row.val_loss, rel=1e-4)
    assert abs(figures["loss"] - row.val_focal) > 0.1


@pytest.mark.parametrize("step", [5, 20])
def test_a_run_that_is_resumed_within_an_epoch_measures_the_same_to_the_bit(run, tmp_path, step):
    cut = shutil.copytree(run, tmp_path / "run")
    for path in (cut / "checkpoints").glob("*.npz"):
        if path.stem == "best" or int(path.stem.partition("-")[2]) > step:
            path.unlink()
    assert cli.main(["train", f"resume={cut}"]) == 0
    pd.testing.assert_frame_equal(history(cut), history(run), check_exact=True)


@pytest.mark.slow
def test_a_training_that_is_made_longer_goes_on_within_its_last_epoch(run, train):
    short = train(*OTHER, *LENGTH[1:], *MIXED, "trainer.steps=18")
    assert cli.main(["train", f"resume={short}", "trainer.steps=30"]) == 0
    pd.testing.assert_frame_equal(history(short), history(run), check_exact=True)


def test_several_steps_in_one_call_measure_the_same(run, together):
    pd.testing.assert_frame_equal(history(together), history(run), rtol=1e-5)


def test_metrics_change_nothing_of_what_is_learnt(train, small_run):
    measured = train("metric=[top5_accuracy,f1,precision,recall]")
    same = list(history(small_run))
    pd.testing.assert_frame_equal(history(measured)[same], history(small_run), check_exact=True)


def test_the_accuracy_of_keras_is_the_accuracy(train):
    run = train("+metric.again._target_=keras.metrics.CategoricalAccuracy", "trainer.validation_steps=2")
    rows = history(run)
    np.testing.assert_allclose(rows.again, rows.accuracy, rtol=1e-6)
    np.testing.assert_allclose(rows.val_again, rows.val_accuracy, rtol=1e-6)


def test_runs_are_compared_by_a_metric_and_know_what_is_better(run, together, tmp_path):
    for metric, ends in (("best_val_mean_squared_error", min), ("best_val_auc", max)):
        folder = tmp_path / metric
        assert cli.main(["compare", f"runs=[{run},{together}]", f"by={metric}", f"hydra.run.dir={folder}"]) == 0
        expected = [ends(history(each)[metric.removeprefix("best_")]) for each in (run, together)]
        assert pd.read_csv(folder / "runs.csv")[metric].tolist() == pytest.approx(expected, rel=1e-4)


def test_a_monitor_of_which_nothing_is_known_needs_a_mode(train, capsys):
    arguments = ("+metric.misses._target_=keras.metrics.FalseNegatives", "trainer.monitor=val_misses")
    train(*arguments, "trainer.steps=1", code=2)
    assert "trainer.mode=auto: whether less or more is better of val_misses is not known" in capsys.readouterr().err
    run = train(*arguments, "trainer.mode=min", *LENGTH)
    best = json.loads((run / "run.json").read_text())["best"]
    assert best["value"] == history(run).val_misses.min()


def test_a_loss_of_whole_labels_is_refused_where_labels_are_mixed(train, capsys):
    train("loss=keras", "loss.loss=Hinge", "augmentation=mixup", "trainer.steps=1", code=2)
    assert "loss=Hinge: knows whole labels only, which augmentation=mixup mixes" in capsys.readouterr().err


def test_a_training_whose_monitor_never_is_a_number_keeps_the_last_model(train, tmp_path, monkeypatch, caplog):
    (tmp_path / "undefined.py").write_text(
        "import keras\n\n"
        "class Undefined(keras.metrics.Mean):\n"
        "    def update_state(self, y_true, y_pred, sample_weight=None):\n"
        "        super().update_state(float('nan'))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    mine = ("targets=[cnnlab,keras,undefined]", "+metric.undefined._target_=undefined.Undefined")
    run = train(*mine, "+metric.undefined.name=undefined", "trainer.monitor=val_undefined", "trainer.mode=max")
    assert "val_undefined was a number in no validation; the last model is kept" in caplog.text
    assert cli.main(["eval", f"run={run}", "split=validation", mine[0]]) == 0
    best = json.loads((run / "run.json").read_text())["best"]
    assert (best["monitor"], best["value"], best["step"]) == (None, None, history(run).step.max())


def test_validation_follows_a_batch_normalisation_that_has_seen_a_few_hundred_batches(train):
    run = train("model.batch_norm=true", "trainer.epochs=8", "trainer.batch_size=32")
    assert pd.read_csv(run / "metrics.csv").iloc[-1][["accuracy", "val_accuracy"]].min() > 0.85
