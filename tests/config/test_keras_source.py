"""What is read of the installed Keras's source, against the installed Keras."""

import inspect
import subprocess
import sys
from typing import Any, Literal, get_args

import keras
import pytest

from cnnlab.config.signatures import find_signature
from cnnlab.config.types import check
from cnnlab.errors import UserError

NAMESPACES = ("optimizers", "optimizers.schedules", "initializers", "callbacks", "losses", "metrics", "regularizers")
CLASSES = [
    f"keras.{namespace}.{name}"
    for namespace in NAMESPACES
    for name, value in vars(getattr(keras, namespace.split(".")[0])).items()
    if "." not in namespace and inspect.isclass(value)
] + [f"keras.optimizers.schedules.{name}" for name in vars(keras.optimizers.schedules) if name[0].isupper()]


def parameters(target: str) -> dict[str, inspect.Parameter]:
    owner, _, name = target.removeprefix("keras.").rpartition(".")
    value = keras
    for part in owner.split("."):
        value = getattr(value, part)
    found = inspect.signature(getattr(value, name)).parameters
    return {key: parameter for key, parameter in found.items() if parameter.kind is not parameter.VAR_KEYWORD}


@pytest.mark.parametrize("target", CLASSES)
def test_reads_the_named_arguments_of_every_class(target):
    signature = find_signature(target)
    assert signature is not None
    given = {name for name, parameter in parameters(target).items() if parameter.kind is not parameter.VAR_POSITIONAL}
    assert set(signature.hints) == given


@pytest.mark.parametrize("target", CLASSES)
def test_every_default_of_keras_fits_the_type_that_was_read(target):
    hints, refused = find_signature(target).hints, []
    for parameter in parameters(target).values():
        plain = parameter.default is None or isinstance(parameter.default, bool | int | float | str | list)
        if parameter.default is not parameter.empty and plain:
            try:
                check(parameter.default, hints[parameter.name], f"{target}.{parameter.name}")
            except UserError as error:
                refused.append(str(error))
    assert refused == []


@pytest.mark.parametrize(
    ("target", "argument", "hint"),
    [
        ("keras.optimizers.Adam", "learning_rate", float),
        ("keras.optimizers.Adam", "amsgrad", bool),
        ("keras.optimizers.Adam", "clipnorm", float | None),
        ("keras.optimizers.SGD", "use_ema", bool),
        ("keras.optimizers.Muon", "ns_steps", int),
        ("keras.initializers.VarianceScaling", "mode", Literal["fan_in", "fan_out", "fan_avg"]),
        ("keras.callbacks.EarlyStopping", "mode", Literal["auto", "min", "max"]),
        ("keras.callbacks.EarlyStopping", "min_delta", float),
        ("keras.callbacks.CSVLogger", "append", bool),
        ("keras.callbacks.ModelCheckpoint", "save_freq", int | str),
        ("keras.callbacks.ModelCheckpoint", "monitor", str),
        ("keras.layers.Dense", "kernel_initializer", Any),
        ("keras.regularizers.L2", "l2", float),
    ],
)
def test_reads_the_type_of_an_argument(target, argument, hint):
    assert find_signature(target).hints[argument] == hint


@pytest.mark.parametrize("name", ["Adam", "SGD", "RMSprop", "Lion"])
def test_optimizers_refuse_arguments_they_do_not_name(name):
    assert not find_signature(f"keras.optimizers.{name}").open


def test_layers_take_what_their_base_takes():
    assert find_signature("keras.layers.Dense").open


def test_names_the_nearest_class():
    with pytest.raises(UserError, match=r"no SDG in keras\.optimizers; did you mean SGD\?"):
        find_signature("keras.optimizers.SDG")


def test_names_the_nearest_namespace():
    with pytest.raises(UserError, match=r"keras\.optimizer is no part of Keras .* did you mean optimizers\?"):
        find_signature("keras.optimizer.SGD")


@pytest.mark.parametrize(
    "target", ["keras.src.optimizers.adam.Adam", "keras.utils.get_file", "keras.config.set_floatx"]
)
def test_only_what_a_configuration_builds_may_be_named(target):
    with pytest.raises(UserError, match="no part of Keras"):
        find_signature(target)


def test_steps_of_a_schedule_may_be_durations():
    hint = find_signature("keras.optimizers.schedules.CosineDecay").hints["decay_steps"]
    check("10 %", hint, "schedule.decay_steps")
    assert Any not in get_args(hint)


def test_keras_is_not_imported_for_it():
    program = (
        "import sys; from cnnlab.config.signatures import find_signature; find_signature('keras.optimizers.Adam');"
        "sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
