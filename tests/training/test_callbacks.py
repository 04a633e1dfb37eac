"""Keras callbacks see what they are told they see."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from cnnlab.training.callbacks import watches_batches

CALLBACK = "+trainer.callbacks.k._target_=keras.callbacks"
TEN_STEPS = ("trainer.steps=10", "trainer.steps_per_epoch=10")


def kernels(path: Path) -> np.ndarray:
    return keras.models.load_model(path).layers[2].get_weights()[0]


def test_a_checkpoint_after_batches_has_the_weights_of_its_batch(train, tmp_path):
    save = (f"{CALLBACK}.ModelCheckpoint", f"+trainer.callbacks.k.filepath='{tmp_path}/{{batch}}.keras'")
    run = train(*TEN_STEPS, *save, "+trainer.callbacks.k.save_freq=5")
    fifth, tenth = (kernels(path) for path in sorted(tmp_path.glob("*.keras"), key=lambda path: int(path.stem)))
    np.testing.assert_array_equal(tenth, kernels(run / "last.keras"))
    shorter = train("trainer.steps=5", "trainer.steps_per_epoch=10")
    np.testing.assert_array_equal(fifth, kernels(shorter / "last.keras"))
    assert len(pd.read_csv(run / "steps.csv")) == 10


class OfBatches(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """Looks at the model."""


@pytest.mark.parametrize(
    ("callback", "watches"),
    [
        (OfBatches(), True),
        (keras.callbacks.LambdaCallback(on_train_batch_begin=print), True),
        (keras.callbacks.LambdaCallback(on_epoch_end=print), False),
        (keras.callbacks.ModelCheckpoint("x.keras", save_freq=3), True),
        (keras.callbacks.ModelCheckpoint("x.keras"), False),
        (keras.callbacks.CSVLogger("x.csv"), False),
    ],
)
def test_steps_are_waited_for_where_a_callback_looks_at_single_batches(callback, watches):
    assert watches_batches({"k": callback}) == watches


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            (f"{CALLBACK}.EarlyStopping", "+trainer.callbacks.k.restore_best_weights=true"),
            "trainer.callbacks.k.restore_best_weights=true: reaches no file; leave it out, model.keras has",
        ),
        (
            (f"{CALLBACK}.ModelCheckpoint", "+trainer.callbacks.k.filepath=x.keras", "optimizer.use_ema=true"),
            "trainer.callbacks.k: ModelCheckpoint saves the trained weights, where optimizer.use_ema=true",
        ),
    ],
)
def test_a_callback_that_would_keep_other_weights_than_it_says_is_refused(train, capsys, given, told):
    train(*TEN_STEPS, *given, code=2)
    assert told in capsys.readouterr().err
