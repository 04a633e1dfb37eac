"""`import cnnlab` is all it takes to open a saved model, and costs next to nothing itself."""

import subprocess
import sys
from pathlib import Path

import keras
import pytest

from cnnlab.models.layers import LocalResponseNormalization
from cnnlab.models.whitening import ZCAWhitening


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A model that has both custom layers."""
    path = tmp_path_factory.mktemp("models") / "model.keras"
    layers = [keras.Input((4, 4, 3)), ZCAWhitening(0.1), LocalResponseNormalization()]
    keras.Sequential(layers).save(path)
    return path


def run(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "imports",
    [
        "import cnnlab, importlib.util; importlib.util.find_spec('keras'); import tensorflow as tf; keras = tf.keras",
        "import keras, cnnlab",
    ],
    ids=["cnnlab, then keras through tensorflow", "keras, then cnnlab"],
)
def test_a_saved_model_opens_whatever_is_imported_first(saved, imports):
    out = run(f"{imports}; model = keras.models.load_model({str(saved)!r}); print([l.name for l in model.layers])")
    assert "zca_whitening" in out
    assert "local_response_normalization" in out


def test_importing_cnnlab_imports_neither_keras_nor_tensorflow():
    out = run("import sys, cnnlab; print([name for name in ('keras', 'tensorflow', 'numpy') if name in sys.modules])")
    assert out.strip() == "[]"
