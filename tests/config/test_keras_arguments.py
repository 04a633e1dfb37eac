"""The table of Keras arguments against the installed Keras."""

import ast
import inspect
from typing import Any, get_args

import keras
import pytest

from cnnlab.config.signatures import KERAS_ARGUMENTS, find_signature
from cnnlab.config.types import check

NAMESPACES = {
    "optimizers": keras.optimizers,
    "optimizers.schedules": keras.optimizers.schedules,
    "initializers": keras.initializers,
    "callbacks": keras.callbacks,
}
# Base classes, wrappers around other objects, and callbacks that take functions or another library: none of them can
# be written in a configuration. The last three are second names of classes that are there.
LEFT_OUT = {
    *("Optimizer", "LossScaleOptimizer", "MultiOptimizer", "OptimizerMap", "LearningRateSchedule", "Initializer"),
    *("Callback", "CallbackList", "History", "LambdaCallback", "OrbaxCheckpoint", "ProgbarLogger"),
    *("STFT", "STFTInitializer", "IdentityInitializer", "OrthogonalInitializer"),
}


def listed(namespace: str) -> set[str]:
    body = ast.parse(KERAS_ARGUMENTS.read_text()).body
    for name in namespace.split("."):
        body = next(node.body for node in body if isinstance(node, ast.ClassDef) and node.name == name)
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}


CLASSES = [(namespace, name) for namespace in NAMESPACES for name in sorted(listed(namespace))]


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_lists_every_class_a_configuration_can_name(namespace):
    offered = {
        name
        for name, value in vars(NAMESPACES[namespace]).items()
        if inspect.isclass(value) and name[0].isupper() and name not in LEFT_OUT
    }
    assert listed(namespace) == offered


@pytest.mark.parametrize(("namespace", "name"), CLASSES)
def test_lists_exactly_the_arguments_of_a_class(namespace, name):
    parameters = inspect.signature(getattr(NAMESPACES[namespace], name)).parameters.values()
    named = {parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD}
    signature = find_signature(f"keras.{namespace}.{name}")
    assert set(signature.hints) == named
    assert not signature.open


@pytest.mark.parametrize(("namespace", "name"), CLASSES)
def test_every_default_of_keras_fits_its_type_here(namespace, name):
    hints = find_signature(f"keras.{namespace}.{name}").hints
    for parameter in inspect.signature(getattr(NAMESPACES[namespace], name)).parameters.values():
        if parameter.default is not parameter.empty and parameter.name in hints:
            check(parameter.default, hints[parameter.name], f"{name}.{parameter.name}")


def test_all_namespaces_are_keras_own():
    body = ast.parse(KERAS_ARGUMENTS.read_text()).body
    for node in body:
        if isinstance(node, ast.ClassDef):
            assert inspect.ismodule(getattr(keras, node.name))


def test_steps_of_a_schedule_may_be_durations():
    hint = find_signature("keras.optimizers.schedules.CosineDecay").hints["decay_steps"]
    check("10 %", hint, "schedule.decay_steps")
    assert Any not in get_args(hint)
