"""Making cnnlab's layers and initializers known to Keras without importing Keras.

Keras finds the custom layers of a saved model in a registry of its own and never imports the module that
the file names (keras.saving, `_retrieve_class_or_fn`). So whoever has imported cnnlab gets its layers
registered at the end of Keras's own import, which may come before or after, or not at all.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

OURS = (
    "cnnlab.models.layers",
    "cnnlab.models.backbones",
    "cnnlab.models.contrast_normalization",
    "cnnlab.models.whitening",
    "cnnlab.initializers.dirac",
)


def register_with_keras() -> None:
    """Register cnnlab's custom layers now if Keras is imported, else as soon as it is."""
    if "keras" in sys.modules:
        _import_ours()
    else:
        sys.meta_path.insert(0, _KerasFinder())


def _import_ours() -> None:
    for name in OURS:
        import_module(name)


class _KerasFinder(MetaPathFinder):
    """Finds Keras where the other finders do; executing it imports cnnlab's layers too, once."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "keras":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next((found for finder in others if (found := finder.find_spec(name, path, target))), None)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            sys.meta_path.remove(self)
            _import_ours()

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]  # of this one loader
        return spec
