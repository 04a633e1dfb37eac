"""cnnlab: train, compare and look inside convolutional networks on TensorFlow.

    run = cnnlab.train("model=mnist_cnn", "trainer.epochs=5")
    run = cnnlab.load_run("outputs/…")
    table = cnnlab.runs("outputs/**")

See `cnnlab.api`. Importing this package registers cnnlab's custom Keras layers, so that ``keras.models.load_model``
opens the models a run exports; nothing heavy is loaded before it is used.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import cnnlab.runs
from cnnlab.errors import Diverged, Interrupted, UserError
from cnnlab.models.registration import register_with_keras

if TYPE_CHECKING:
    from cnnlab.api import TrainedRun, compare_runs, load_run, train

__version__ = "0.1.0"
__all__ = ["Diverged", "Interrupted", "TrainedRun", "UserError", "compare_runs", "load_run", "runs", "train"]


class _Runs(ModuleType):
    """The package `cnnlab.runs`, which can also be called: `cnnlab.runs("outputs/**")`, see `cnnlab.api.runs`."""

    def __call__(self, *patterns: Any) -> Any:
        return import_module("cnnlab.api").runs(*patterns)


cnnlab.runs.__class__ = _Runs


def __getattr__(name: str) -> Any:
    if name in ("TrainedRun", "compare_runs", "load_run", "train"):
        return getattr(import_module("cnnlab.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_with_keras()
