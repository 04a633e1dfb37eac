"""What the groups `loss` and `metric` measure: the columns of metrics.csv, and what may be monitored."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from cnnlab.config.nearest import did_you_mean
from cnnlab.config.types import shown
from cnnlab.errors import UserError

LOSS_LABELS = ("class_weight", "loss")
METRIC_LABELS = ("metric",)
"""Keys of a loss and of a metric that are no arguments of its target."""

CROSSENTROPY = "cnnlab.losses.crossentropy.Crossentropy"
PER_CLASS = ("keras.losses.BinaryCrossentropy", "keras.losses.BinaryFocalCrossentropy")
HINGES = ("keras.losses.Hinge", "keras.losses.SquaredHinge")
KERAS = ("keras.losses.", "keras.metrics.")
PLATEAU = "cnnlab.schedules.plateau.Plateau"

MEASURED = ("loss", "accuracy")
"""What every training measures, of the training images and, as val_…, of the validation images."""

NO_SCORES = ("epoch", "step", "learning_rate", "seconds", "images_per_second")
"""Columns of metrics.csv that say when, not how well."""

TAKEN = frozenset({*MEASURED, *NO_SCORES})
"""Columns that no metric may be called by."""


def metric_columns(metrics: Mapping[str, Any] | None) -> dict[str, str]:
    """The column of each metric of `config.metric` by its key: its `name`, or the key itself."""
    return {str(key): str(node.get("name") or key) for key, node in (metrics or {}).items()}


def validation_columns(loss: Mapping[str, Any], metrics: Mapping[str, Any] | None) -> list[str]:
    """The columns that validation adds to `val_loss` and `val_accuracy`.

    `val_loss` is the cross-entropy whatever is minimised; another loss has a column of its own, `val_` and its name.
    """
    own = loss_column(loss)
    return [*([own] if own else []), *(f"val_{name}" for name in metric_columns(metrics).values())]


def score_columns(loss: Mapping[str, Any], metrics: Mapping[str, Any] | None, *, validates: bool) -> list[str]:
    """All columns of metrics.csv that say how well a model does, in their order."""
    validated = [*(f"val_{name}" for name in MEASURED), *validation_columns(loss, metrics)] if validates else []
    return [*MEASURED, *metric_columns(metrics).values(), *validated]


def loss_column(loss: Mapping[str, Any]) -> str | None:
    """The column of the validation loss that is minimised, where it is another than the cross-entropy."""
    return None if loss["_target_"] == CROSSENTROPY else f"val_{loss['name']}"


def check_scoring(values: Mapping[str, Any]) -> None:
    """Check the names of the loss and the metrics, and of a configuration that trains, that what is monitored is
    measured.

    Args:
        values: the plain values of a configuration; one with a `run` trains no more.

    Raises:
        UserError: a name is taken or no name, or nothing of a monitor's name is measured.
    """
    loss, metrics = values["loss"], values.get("metric") or {}
    if "_target_" in metrics:
        raise UserError(
            f"metric._target_={metrics['_target_']}: a metric has a name; "
            f"give +metric.NAME._target_={metrics['_target_']}"
        )
    for key, node in {"loss": loss, **{f"metric.{name}": node for name, node in metrics.items()}}.items():
        _check_class(str(node["_target_"]), key)
    if loss["_target_"] in PER_CLASS and values["model"]["head"] == "sigmoid":
        raise UserError(
            f"loss={loss['name']}: model.head=sigmoid has one output for two classes, whose binary cross-entropy is "
            "loss=crossentropy; use that"
        )
    if loss["_target_"] in HINGES and values["model"]["head"] == "sigmoid":
        raise UserError(
            f"loss={loss['name']}: is the mean over the outputs of two classes, of which model.head=sigmoid has one; "
            "use model.head=softmax, or loss=crossentropy"
        )
    own = loss_column(loss)
    taken = {name: f"the column {name} is there in any case" for name in TAKEN}
    if own:
        _check_name(str(loss["name"]), "loss.name", taken)
        taken[str(loss["name"])] = f"val_{loss['name']} is the column of the loss"
    for key, name in metric_columns(metrics).items():
        where = f"metric.{key}.name" if metrics[key].get("name") else f"metric.{key}"
        _check_name(name, where, taken)
        taken[name] = f"metric.{key} is called so"
    if values.get("run") is None:
        _check_monitors(values)


def _check_monitors(values: Mapping[str, Any]) -> None:
    metrics = values.get("metric") or {}
    measured = [f"val_{name}" for name in MEASURED] + validation_columns(values["loss"], metrics)
    _check_monitor(values["trainer"]["monitor"], "trainer.monitor", measured)
    if values["schedule"]["_target_"] == PLATEAU:
        _check_monitor(
            values["schedule"]["monitor"], "schedule.monitor", [*measured, *MEASURED, *metric_columns(metrics).values()]
        )


def _check_class(target: str, key: str) -> None:
    """Keras has functions beside its classes, of the same names in lower case, which are no losses or metrics."""
    owner, _, name = target.rpartition(".")
    if f"{owner}." in KERAS and name[:1].islower():
        kind = "".join(part.capitalize() for part in name.split("_"))
        raise UserError(f"{key}._target_={target}: is a function; give a class, such as {kind}")


def _check_name(name: str, key: str, taken: Mapping[str, str]) -> None:
    if name in taken:
        raise UserError(f"{key}={name}: {taken[name]}; choose another name")
    if not re.fullmatch(r"[A-Za-z]\w*", name) or name.startswith("val_"):
        raise UserError(
            f"{key}={name}: names a column of metrics.csv; use letters, digits and _, and no val_ at the beginning"
        )


def _check_monitor(monitor: object, key: str, measured: Collection[str]) -> None:
    if monitor not in measured:
        near = did_you_mean(monitor, measured)
        raise UserError(f"{key}={shown(monitor)}: is not measured{near or '; choose one of ' + ', '.join(measured)}")
