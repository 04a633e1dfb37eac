"""`cnnlab train` as its users see it: what a run directory holds, and what each option of the trainer does."""

import csv
import html
import json
import os
import re
import shutil
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from cnnlab import cli
from cnnlab.config import extras
from cnnlab.data.load import load_dataset
from cnnlab.losses.class_weight import class_weights
from cnnlab.training import train_state
from cnnlab.training.loop_setup import build_loop


def record(run) -> dict:
    return json.loads((run / "run.json").read_text())


def metrics(run) -> pd.DataFrame:
    return pd.read_csv(run / "metrics.csv")


def steps(run) -> pd.DataFrame:
    return pd.read_csv(run / "steps.csv")


def split_of(run, name: str):
    config = OmegaConf.load(run / "config.yaml")
    return load_dataset(config.dataset, config.seeds.split).splits[name]


def state(run, name: str = "best") -> dict[str, np.ndarray]:
    [path] = (run / "checkpoints").glob(f"{name}.npz")
    with np.load(path) as archive:
        return {key: archive[key] for key in archive.files if key != "state"}


def last_state(run) -> dict[str, np.ndarray]:
    return state(run, sorted((run / "checkpoints").glob("step-*.npz"))[-1].stem)


def test_a_run_directory_explains_itself(small_run):
    names = {path.name for path in small_run.iterdir() if not path.name.startswith(".")}
    assert names == {
        *("config.yaml", "run.json", "metrics.csv", "steps.csv", "checkpoints", "plots"),
        *("model.keras", "last.keras", "report.html"),
    }
    assert (small_run / "plots" / "curves.png").stat().st_size > 10_000
    written = record(small_run)
    assert written["status"] == "completed"
    assert written["precision"] == "float32"
    assert written["threads"] >= 1
    assert written["total_params"] == keras.models.load_model(small_run / "model.keras").layers[2].count_params()
    assert set(written["seeds"]) == {"initializer", "shuffle", "augmentation", "split"}
    assert all(isinstance(seed, int) for seed in written["seeds"].values())


def test_the_tables_have_a_row_per_epoch_and_per_step(small_run):
    header = "epoch,step,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds,images_per_second"
    assert (small_run / "metrics.csv").read_text().splitlines()[0] == header
    epochs, each = metrics(small_run), steps(small_run)
    per_epoch = len(split_of(small_run, "train")) // 64
    assert epochs.epoch.tolist() == [1, 2]
    assert epochs.step.tolist() == [per_epoch, 2 * per_epoch]
    assert each.step.tolist() == list(range(1, 2 * per_epoch + 1))
    assert epochs.loss[1] == pytest.approx(each.loss[each.epoch == 2].mean(), abs=1e-6)
    assert epochs.learning_rate.tolist() == [0.001, 0.001]


def test_the_exported_model_takes_raw_images_and_scores_what_the_run_says(small_run):
    model = keras.models.load_model(small_run / "model.keras")
    validation = split_of(small_run, "validation")
    probabilities = model.predict(validation.images, verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    accuracy = np.mean(probabilities.argmax(axis=1) == validation.labels)
    assert accuracy == pytest.approx(record(small_run)["best"]["value"], abs=1e-7)
    loss = -np.log(probabilities[np.arange(len(validation)), validation.labels]).mean()
    assert loss == pytest.approx(metrics(small_run).val_loss[1], rel=1e-4)


@pytest.fixture(scope="module")
def followed(train, tmp_path_factory) -> tuple[Path, Path, str]:
    """A run of which Keras's callbacks write and that one of them ends after two of nine epochs: itself, where they
    wrote, and what was told.
    """
    folder = tmp_path_factory.mktemp("callbacks")
    options = {
        "log": {"_target_": "keras.callbacks.CSVLogger", "filename": f"'{folder / 'log.csv'}'"},
        "save": {"_target_": "keras.callbacks.ModelCheckpoint", "filepath": f"'{folder}/epoch-{{epoch}}.keras'"},
        "stop": {"_target_": "keras.callbacks.EarlyStopping", "monitor": "val_loss", "patience": 1, "min_delta": 9},
    }
    overrides = [
        f"+trainer.callbacks.{name}.{key}={value}" for name, given in options.items() for key, value in given.items()
    ]
    with redirect_stderr(StringIO()) as messages:
        run = train("trainer.epochs=9", *overrides)
    return run, folder, messages.getvalue()


def test_any_keras_callback_follows_the_training(followed):
    run, folder, _ = followed
    with (folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_accuracy"]) for row in rows] == metrics(run).val_accuracy.tolist()


def test_keras_own_checkpoint_callback_works(followed):
    assert sorted(path.name for path in followed[1].glob("*.keras")) == ["epoch-1.keras", "epoch-2.keras"]


def test_a_callback_that_ends_the_run_is_told(followed):
    run, _, messages = followed
    step = metrics(run).step.iloc[-1]
    assert metrics(run).epoch.tolist() == [1, 2]
    assert f"ended early, at step {step} of {step // 2 * 9}: a callback set stop_training" in messages


def test_the_same_seed_gives_the_same_bytes_whoever_follows(small_run, followed):
    first, again = last_state(small_run), last_state(followed[0])
    assert all(first[key].tobytes() == again[key].tobytes() for key in first)


@pytest.fixture(scope="module")
def of_another_seed(train) -> tuple[Path, str, str]:
    """A run of two steps, and what it wrote to stdout and stderr."""
    with redirect_stdout(StringIO()) as output, redirect_stderr(StringIO()) as messages:
        run = train("trainer.steps=2", "trainer.progress=plain", "seed=1")
    return run, output.getvalue(), messages.getvalue()


def test_another_seed_gives_another_training(small_run, of_another_seed):
    assert (steps(small_run).loss[:2] != steps(of_another_seed[0]).loss).all()


def test_stdout_is_the_run_directory_alone(of_another_seed):
    run, output, messages = of_another_seed
    assert output == f"{run}\n"
    assert "epoch 1/1" in messages


def test_a_plain_train_into_an_existing_run_is_refused(small_run, capsys):
    before = (small_run / "run.json").read_text()
    assert cli.main(["train", f"hydra.run.dir={small_run}"]) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert (small_run / "run.json").read_text() == before


def test_without_validation_all_images_train_and_the_last_model_is_the_best(train):
    run = train("dataset.validation=none", "trainer.keep_checkpoints=1", "trainer.epochs=1")
    assert len(split_of(run, "train")) > 1400
    assert metrics(run).val_loss.isna().all()
    best, last = state(run), last_state(run)
    assert all(best[key].tobytes() == last[key].tobytes() for key in best)
    assert record(run)["best"]["step"] == metrics(run).step.iloc[-1]


LONG_EPOCHS = ("trainer.steps_per_epoch=25", "trainer.validate_every='7 steps'")
"""A pass is 17 steps."""


@pytest.fixture(scope="module")
def thirty_steps(train) -> Path:
    return train(*LONG_EPOCHS, "trainer.steps=30")


def test_steps_set_the_length_and_an_epoch_may_be_longer_than_a_pass(thirty_steps):
    assert metrics(thirty_steps).step.tolist() == [25, 30]


def test_validation_may_fall_inside_an_epoch(thirty_steps):
    assert metrics(thirty_steps).val_loss.notna().all()
    assert record(thirty_steps)["best"]["step"] in (7, 14, 21, 28, 30)


def test_a_longer_training_goes_on_inside_the_epoch_it_had_cut_short(train, thirty_steps):
    part = train(*LONG_EPOCHS, "trainer.steps=20")
    assert metrics(part).step.tolist() == [20]
    assert cli.main(["train", f"resume={part}", "trainer.steps=30"]) == 0
    clock = ["seconds", "images_per_second"]
    pd.testing.assert_frame_equal(
        metrics(part).drop(columns=clock), metrics(thirty_steps).drop(columns=clock), check_exact=True
    )


def test_a_resume_tells_what_begins_anew_or_would_have_been_otherwise(train, tmp_path, caplog):
    log = ("+trainer.callbacks.log._target_=keras.callbacks.CSVLogger", "+trainer.callbacks.log.append=true")
    schedule = ("schedule=cosine", "schedule.warmup=3 steps")
    run = train(*schedule, "trainer.epochs=1", *log, f"+trainer.callbacks.log.filename={tmp_path}/log.csv")
    assert cli.main(["train", f"resume={run}", "trainer.epochs=2"]) == 0
    assert "trainer.callbacks: log: Keras keeps no state of callbacks, so it begins anew here" in caplog.text
    step, rate = metrics(run).loc[0, ["step", "learning_rate"]]
    assert f"at step {step:.0f} the learning rate was {rate:.3g} and would now be 0.000" in caplog.text
    assert pd.read_csv(tmp_path / "log.csv").epoch.tolist() == [0, 1]


def test_a_run_may_be_called_by_a_relative_path_to_be_resumed(train, tmp_path, monkeypatch):
    run = train("trainer.steps=2")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(run)
    monkeypatch.chdir(tmp_path / "elsewhere")
    for steps, path in ((3, "../link"), (4, os.path.relpath(run))):
        assert cli.main(["train", f"resume={path}", f"trainer.steps={steps}"]) == 0
        assert metrics(run).step.iloc[-1] == steps


def test_a_resume_draws_no_weights_that_the_checkpoint_replaces(train, monkeypatch):
    drawn = []
    monkeypatch.setattr(train_state, "apply_initializer", lambda node, *rest: drawn.append(node._target_))
    run = train("trainer.steps=2", "initializer=he_normal")
    assert cli.main(["train", f"resume={run}", "trainer.steps=3"]) == 0
    assert drawn == ["keras.initializers.HeNormal"]


def test_a_step_that_overflowed_in_float16_is_no_other_schedule(train, caplog):
    cut = ("trainer.steps=6", "trainer.steps_per_epoch=2", "trainer.keep_checkpoints=9")
    run = train("schedule=cosine", "trainer.precision=float16", "loss.class_weight={0:1e4}", *cut)
    rates = pd.read_csv(run / "steps.csv").learning_rate
    assert rates[0] == rates[1]  # the first step was skipped
    for name in ("step-00000006.npz", "best.npz"):
        (run / "checkpoints" / name).unlink()
    assert cli.main(["train", f"resume={run}"]) == 0
    assert "resuming after step 4 of 6" in caplog.text
    assert "the schedule now spans other steps" not in caplog.text


ONE_EPOCH = ("trainer.epochs=1", "trainer.validation_steps=1")


@pytest.fixture(scope="module")
def one_epoch(train) -> Path:
    return train(*ONE_EPOCH)


def test_a_limited_validation_scores_images_at_equal_distances(one_epoch):
    split = split_of(one_epoch, "validation")
    some = split.take(np.arange(64) * len(split) // 64)
    model = keras.models.load_model(one_epoch / "last.keras")
    accuracy = np.mean(model.predict(some.images, verbose=0).argmax(axis=1) == some.labels)
    assert metrics(one_epoch).val_accuracy[0] == pytest.approx(accuracy, abs=1e-7)


def test_training_starts_from_given_weights(train, small_run):
    frozen = ("trainer.steps=1", "optimizer=sgd", "optimizer.learning_rate=1e-9")
    warm = train(*frozen, f"weights={small_run / 'last.keras'}")
    assert metrics(warm).val_loss[0] == pytest.approx(metrics(small_run).val_loss[1], abs=1e-4)
    assert metrics(small_run).val_loss[1] < steps(small_run).loss[0] - 0.1


def test_weights_of_other_classes_start_a_training_without_their_head(train, small_run, capsys):
    arguments = ("trainer.steps=1", "num_classes=12", f"weights={small_run / 'last.keras'}")
    train(*arguments, code=2)
    assert "weights_head=drop" in capsys.readouterr().err
    run = train(*arguments, "weights_head=drop")
    assert "left out as weights_head=drop says, and as initialised: logits" in capsys.readouterr().err
    assert keras.models.load_model(run / "model.keras").output_shape == (None, 12)


def test_the_moving_average_of_the_weights_is_what_is_evaluated_and_exported(train, one_epoch):
    averaged = train("optimizer.use_ema=true", "optimizer.ema_momentum=0.9", *ONE_EPOCH)
    exported = keras.models.load_model(averaged / "last.keras").layers[2].get_weights()
    trained, reference_weights = (
        [value for place, value in last_state(run).items() if place.startswith("network/") and "seed" not in place]
        for run in (averaged, one_epoch)
    )
    for ema, raw, reference in zip(exported, trained, reference_weights, strict=True):
        np.testing.assert_array_equal(raw, reference)  # the average does not disturb the training
        assert not np.array_equal(ema, raw)
    assert metrics(averaged).val_loss[0] != metrics(one_epoch).val_loss[0]


@pytest.fixture(scope="module")
def stalled(train) -> tuple[Path, str]:
    """A run that nothing improves, and what it told."""
    with redirect_stderr(StringIO()) as messages:
        run = train(
            *("trainer.epochs=50", "trainer.early_stopping_patience=2", "trainer.early_stopping_min_delta=0.5"),
            *("schedule=plateau", "schedule.patience=1", "schedule.factor=0.5", "schedule.min_delta=10.0"),
            *("trainer.monitor=val_loss", "optimizer.learning_rate=1e-6"),
        )
    return run, messages.getvalue()


def test_early_stopping_ends_the_run_for_good(stalled, capsys):
    run, messages = stalled
    assert metrics(run).epoch.tolist() == [1, 2, 3]
    assert record(run)["status"] == "completed"
    told = r"ended early, at step (\d+) of \d+: val_loss was no better for 2 validations"
    assert re.search(told, messages)[1] == str(metrics(run).step.iloc[-1])
    assert cli.main(["train", f"resume={run}"]) == 0
    assert re.search(told, capsys.readouterr().err)
    assert metrics(run).epoch.tolist() == [1, 2, 3]


def test_a_training_that_stops_early_inside_an_epoch_has_that_epochs_row(train):
    run = train(
        *("trainer.epochs=2", "trainer.steps_per_epoch=1000", "trainer.validate_every='3 steps'"),
        *("trainer.early_stopping_patience=1", "trainer.early_stopping_min_delta=9.0"),
    )
    assert metrics(run)[["epoch", "step"]].values.tolist() == [[1, 6]]
    assert metrics(run).val_loss.notna().all()
    assert (run / "plots").is_dir()


def test_plateau_lowers_the_learning_rate_when_validation_does_not_improve(stalled):
    assert metrics(stalled[0]).learning_rate.tolist() == pytest.approx([1e-6, 1e-6, 5e-7])


def test_a_run_whose_checkpoints_are_gone_does_not_begin_again_in_silence(small_run, tmp_path, capsys):
    run = shutil.copytree(small_run, tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    before = (run / "metrics.csv").read_bytes()
    assert cli.main(["train", f"resume={run}", "trainer.epochs=3"]) == 2
    told = (
        f"its checkpoints are gone, so it cannot be resumed; start a new run from its weights, weights={run}/last.keras"
    )
    assert told in capsys.readouterr().err
    assert (run / "metrics.csv").read_bytes() == before
    (run / "last.keras").unlink()  # as where it was killed later
    assert cli.main(["train", f"resume={run}"]) == 2
    assert told.replace("last.keras", "model.keras") in capsys.readouterr().err
    (run / "metrics.csv").write_bytes(b"".join(before.splitlines(keepends=True)[:2]))  # before the first checkpoint
    assert cli.main(["train", f"resume={run}"]) == 0
    assert "was cut before its first checkpoint: it begins again at step 1" in capsys.readouterr().err


def test_a_callback_that_lacks_its_package_is_refused_before_training(train, capsys, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    run = train("+trainer.callbacks.board._target_=keras.callbacks.TensorBoard", code=2)
    assert "pip install 'cnnlab[tensorboard]'" in capsys.readouterr().err
    assert not run.exists()


def test_divergence_names_the_step_and_keeps_the_last_finite_state(train, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["cnnlab", "train", "optimizer=sgd", "optimizer.learning_rate=1e12"])
    run = train(
        *("optimizer=sgd", "optimizer.learning_rate=1e12", "trainer.checkpoint_every='1 steps'"),
        code=3,
    )
    message = capsys.readouterr().err
    assert "error: " in message
    assert "step" in message
    anew = f"cnnlab train optimizer=sgd weights={run / 'model.keras'} optimizer.learning_rate=1e+11"
    if not (run / "model.keras").exists():
        anew = "cnnlab train optimizer=sgd optimizer.learning_rate=1e+11"
    assert f"start anew with a smaller learning rate: {anew}" in message
    assert record(run)["status"] == "diverged"
    assert record(run)["error"] in html.unescape((run / "report.html").read_text())
    for path in (run / "checkpoints").glob("*.npz"):
        with np.load(path) as archive:
            floats = [archive[key] for key in archive.files if archive[key].dtype.kind == "f"]
        assert all(np.isfinite(array).all() for array in floats)


def test_a_signal_before_the_first_step_ends_the_run_without_one(train, capsys, monkeypatch):
    def build_after_a_signal(*arguments):
        signal.raise_signal(signal.SIGUSR1)
        return build_loop(*arguments)

    monkeypatch.setattr("cnnlab.commands.train.build_loop", build_after_a_signal)
    run = train("trainer.steps=2", code=128 + signal.SIGUSR1)
    monkeypatch.undo()
    assert (
        f"interrupted: SIGUSR1; before the first step; resume with cnnlab train resume={run}" in capsys.readouterr().err
    )
    assert record(run)["status"] == "interrupted"
    assert cli.main(["train", f"resume={run}"]) == 0
    assert metrics(run).step.tolist() == [2]


def test_a_batch_larger_than_the_split_is_refused_and_leaves_no_directory(tmp_path, capsys):
    run = tmp_path / "run"
    assert cli.main(["train", "trainer.batch_size=5000", f"hydra.run.dir={run}"]) == 2
    assert "trainer.batch_size=5000: the training split has only 1149 images" in capsys.readouterr().err
    assert not run.exists()


def test_class_weights_name_classes(train, small_run, capsys):
    config = OmegaConf.load(small_run / "config.yaml")
    weights = class_weights({0: 2.0, "9": 0.5}, load_dataset(config.dataset, config.seeds.split))
    assert weights.tolist() == [2, *[1] * 8, 0.5]
    train("loss.class_weight={zero:2.0}", "trainer.steps=2", code=2)
    assert "loss.class_weight.zero: digits has no such class" in capsys.readouterr().err
