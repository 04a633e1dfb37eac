"""Averaged weights beside batch normalisation, whose statistics are of the trained weights."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from cnnlab.data.dataset import Split
from cnnlab.data.load import load_dataset
from cnnlab.data.sample import sample
from cnnlab.training.ema import STATISTICS_IMAGES, AveragedWeights
from tests.training.test_distribution import SMALL, finish, start_workers, train_apart

NORMALISED = ("model.batch_norm=true", "model.dropout=0.5", "optimizer.learning_rate=0.01", "trainer.epochs=2")
AVERAGED = (*NORMALISED, "optimizer.use_ema=true", "optimizer.ema_momentum=0.9")


@pytest.fixture(scope="module")
def averaged(train) -> Path:
    return train(*AVERAGED)


def training_images(run: Path) -> np.ndarray:
    config = OmegaConf.load(run / "config.yaml")
    split = load_dataset(config.dataset, config.seeds.split).splits["train"]
    return sample(split, STATISTICS_IMAGES, config.seeds.split).images


def test_the_saved_statistics_are_of_the_maps_that_the_averaged_weights_give(averaged):
    saved = keras.models.load_model(averaged / "last.keras")
    network = saved.layers[2]
    first = next(layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization))
    maps = keras.Model(network.inputs, first.input)(saved.layers[1](training_images(averaged))).numpy()
    np.testing.assert_allclose(first.moving_mean, maps.mean(axis=(0, 1, 2)), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(first.moving_variance, maps.var(axis=(0, 1, 2)), rtol=0.02)


def test_taking_them_leaves_the_training_as_it_is(train, averaged):
    alone = train(*NORMALISED)

    def state(run: Path) -> dict[str, np.ndarray]:
        with np.load(sorted((run / "checkpoints").glob("step-*.npz"))[-1]) as archive:
            return {name: archive[name] for name in archive.files if name.startswith("network/")}

    for name, value in state(alone).items():  # weights, moving statistics, the seeds of dropout
        np.testing.assert_array_equal(state(averaged)[name], value, err_msg=name)
    assert any("moving_variance" in name for name in state(alone))


def test_validation_reads_the_averaged_weights_with_statistics_of_their_own(train, averaged):
    assert pd.read_csv(averaged / "metrics.csv").val_accuracy.iloc[-1] > 0.9


def test_a_layer_that_normalises_several_times_is_told(caplog):
    shared = keras.layers.BatchNormalization(name="shared")
    images = keras.Input((4, 4, 1))
    network = keras.Model(images, keras.layers.Flatten()(shared(shared(images) + 1)))
    optimizer = keras.optimizers.SGD(use_ema=True)
    optimizer.build(network.trainable_variables)
    split = Split(np.zeros((8, 4, 4, 1), np.uint8), np.zeros(8, int))
    AveragedWeights(optimizer, network, keras.Sequential([keras.layers.Rescaling(1.0)]), split, 0, 4)
    assert "optimizer.use_ema=true: shared: used several times in the network" in caplog.text


@pytest.mark.slow
def test_two_devices_take_the_statistics_that_one_takes(tmp_path):
    one, two = (
        pd.read_csv(train_apart(tmp_path / str(n), *AVERAGED, "model.dropout=0.0", devices=n) / "metrics.csv")
        for n in (1, 2)
    )
    np.testing.assert_allclose(one.val_loss, two.val_loss, rtol=0.05)


@pytest.mark.slow
def test_two_hosts_take_the_statistics_that_one_takes(tmp_path):
    overrides = (*AVERAGED, "model.dropout=0.0")
    one = pd.read_csv(train_apart(tmp_path / "1", *overrides) / "metrics.csv")
    finish(start_workers(*SMALL, f"hydra.run.dir={tmp_path / '2'}", *overrides))
    two = pd.read_csv(tmp_path / "2" / "metrics.csv")
    np.testing.assert_allclose(one.val_loss, two.val_loss, rtol=0.05)
    saved = keras.models.load_model(tmp_path / "2" / "last.keras")
    assert np.isfinite(saved.predict(training_images(tmp_path / "2")[:8], verbose=0)).all()
