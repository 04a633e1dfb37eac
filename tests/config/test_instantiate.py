"""Building the objects a configuration describes."""

import keras
import pytest
from omegaconf import OmegaConf

from cnnlab.config.instantiate import instantiate, locate
from cnnlab.errors import UserError


def node(**keys):
    return OmegaConf.create({"momentum": 0.5, "optimizer": keys}).optimizer


def test_calls_the_target_with_the_other_keys_but_not_the_label():
    optimizer = instantiate(node(_target_="keras.optimizers.SGD", name="our label", learning_rate=0.25))
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert float(optimizer.learning_rate) == 0.25
    assert optimizer.name != "our label"


def test_keys_that_are_no_arguments_can_be_dropped():
    initializer = instantiate(node(_target_="keras.initializers.HeNormal", bias=0.0), drop=["bias"])
    assert isinstance(initializer, keras.initializers.HeNormal)


def test_interpolations_reach_the_whole_configuration():
    optimizer = instantiate(node(_target_="keras.optimizers.SGD", momentum="${momentum}"))
    assert optimizer.momentum == 0.5


def test_arguments_known_only_now_win_and_arrive_untouched():
    kernel = keras.initializers.Zeros()
    shape = (3, 3)
    layer = instantiate(
        node(_target_="keras.layers.Conv2D", filters=2, kernel_size=[5, 5], kernel_initializer="ones"),
        kernel_size=shape,
        kernel_initializer=kernel,
    )
    assert layer.kernel_size == shape
    assert layer.kernel_initializer is kernel


def test_nested_targets_are_built_first():
    layer = instantiate(
        node(_target_="keras.layers.Dense", units=2, kernel_initializer={"_target_": "keras.initializers.HeNormal"})
    )
    assert isinstance(layer.kernel_initializer, keras.initializers.HeNormal)


def test_null_stays_null():
    assert instantiate(None) is None


@pytest.mark.parametrize(
    "keys",
    [
        {"_target_": "keras.optimizers.SGD", "learning_rat": 0.1},
        {"_target_": "keras.optimizers.SGD", "momentum": 7},
        {"_target_": "keras.optimizers.Sgdd"},
        {"_target_": "nowhere.Sgd"},
        {"_target_": "keras.optimizers.SGD", "learning_rate": {"_target_": "keras.initializers.HeNormal", "x": 1}},
    ],
)
def test_a_refused_argument_is_the_users_mistake_and_names_the_group(keys):
    with pytest.raises(UserError, match=r"^optimizer: ") as refusal:
        instantiate(node(**keys))
    assert "\n" not in str(refusal.value)


@pytest.fixture
def script(tmp_path, monkeypatch) -> str:
    """A module that does its work, and ends, as it is imported."""
    (tmp_path / "their_script.py").write_text("import sys\n\ndef build():\n    pass\n\nsys.exit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "their_script.build"


@pytest.mark.parametrize("call", [instantiate, locate])
def test_a_module_that_ends_the_program_is_a_mistake_and_no_end(call, script):
    with pytest.raises(
        UserError, match=r"^optimizer: their_script\.build ends the program \(SystemExit: 0; put what it"
    ):
        call(node(_target_=script))


def test_a_module_that_cannot_be_imported_is_told_with_its_key():
    with pytest.raises(UserError, match=r"^optimizer: Error loading 'nowhere\.build'"):
        locate(node(_target_="nowhere.build"))
