"""Model files that carry class names: Keras opens them as any other."""

import json
from zipfile import ZipFile

import keras
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.models.keras_file import CLASS_NAMES, read_class_names, save_model


@pytest.fixture
def model() -> keras.Model:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])


def test_names_come_back_and_keras_opens_the_file(model, tmp_path):
    path = tmp_path / "model.keras"
    save_model(model, path, ("Ørn", "0"))
    assert read_class_names(path) == ("Ørn", "0")
    loaded = keras.models.load_model(path)
    x = np.ones((1, 3), np.float32)
    np.testing.assert_array_equal(loaded(x), model(x))
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]


def test_a_file_of_keras_own_has_none(model, tmp_path):
    model.save(tmp_path / "model.keras")
    assert read_class_names(tmp_path / "model.keras") is None
    save_model(model, tmp_path / "nameless.keras", None)
    assert read_class_names(tmp_path / "nameless.keras") is None
    (tmp_path / "weights.h5").write_bytes(b"no zip")
    assert read_class_names(tmp_path / "weights.h5") is None


@pytest.mark.parametrize("content", ["[1, 2]", '{"a": 0}', "[", '"ab"'])
def test_names_that_are_none_are_refused(tmp_path, content):
    with ZipFile(tmp_path / "odd.keras", "w") as archive:
        archive.writestr(CLASS_NAMES, content)
    with pytest.raises(UserError, match=r"odd\.keras: its class_names\.json is no"):
        read_class_names(tmp_path / "odd.keras")


def test_both_models_of_a_run_carry_the_names_of_its_data(small_run):
    recorded = json.loads((small_run / "run.json").read_text())["class_names"]
    for name in ("model.keras", "last.keras"):
        assert list(read_class_names(small_run / name)) == recorded == list("0123456789")
