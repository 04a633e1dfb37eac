"""A training that diverges is stopped within a second, also where its losses stay finite."""

import keras
import numpy as np
import pandas as pd
import pytest

from cnnlab import cli
from cnnlab.errors import Diverged
from cnnlab.training.divergence import WeightCheck, require_finite_losses

BLIND = """
import keras

@keras.saving.register_keras_serializable("blind")
class Blind(keras.layers.Layer):
    def build(self, shape):
        self.spoilt = self.add_weight(shape=(3,), initializer=keras.initializers.Constant(float("nan")), name="spoilt")

    def call(self, images):
        return images

def build(input_shape, num_classes):
    images = keras.Input(input_shape)
    features = keras.layers.Flatten()(Blind(name="blind")(images))
    return keras.Model(images, keras.layers.Dense(num_classes, activation="softmax")(features))
"""
"""A network with a weight that is NaN and that no answer shows, as behind a ReLU that makes 0 of it."""


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_loss_that_is_no_number_is_named_with_its_step_and_epoch(value):
    losses = np.array([2.3, 2.2, value, np.nan], np.float32)
    with pytest.raises(Diverged, match=rf"^the loss became {value} at step 13 \(epoch 2\); lower ") as diverged:
        require_finite_losses(losses, 11, lambda step: step // 10 + 1)
    assert diverged.value.learnt
    require_finite_losses(losses[:2], 11, lambda step: 1)


def test_the_loss_of_the_first_step_is_not_the_learning_rates_fault():
    with pytest.raises(Diverged, match="before the weights have changed; look at the images") as diverged:
        require_finite_losses(np.array([np.nan], np.float32), 1, lambda step: 1)
    assert not diverged.value.learnt


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_no_number_is_named(value):
    network = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 3, name="conv"), keras.layers.Dropout(0.5)]
    )
    check = WeightCheck(network.weights)
    check(7)
    network.get_layer("conv").bias.assign([0.0, value])
    with pytest.raises(Diverged, match=r"conv/bias is NaN or infinite after step 7; lower optimizer\.learning_rate"):
        check(7)


def test_the_weights_are_looked_at_long_before_a_checkpoint(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "blind.yaml").write_text("_target_: blind.build\n")
    (tmp_path / "blind.py").write_text(BLIND)
    own = ("--config-dir=own", "model=blind", "targets=[cnnlab,keras,blind]")
    long = ("trainer.steps=100000", "trainer.steps_per_epoch=50000", "hydra.run.dir=run")
    assert cli.main(["train", *own, *long]) == 3
    assert "blind/spoilt is NaN or infinite after step 1, which the starting weights led to" in capsys.readouterr().err
    assert len(pd.read_csv("run/steps.csv")) < 50000
    assert not list((tmp_path / "run" / "checkpoints").glob("*.npz"))


def test_a_loss_that_is_nan_before_anything_was_learnt_is_no_learning_rates_fault(train, capsys):
    train("initializer=gaussian", "initializer.stddev=1e30", "trainer.steps=1", code=3)
    message = capsys.readouterr().err
    assert "step 1, " in message  # of the loss, or of a weight: some processors' ReLU makes 0 of a NaN
    assert "; look at the images, the preprocessing, the starting weights and the model itself" in message
    assert "learning rate" not in message
