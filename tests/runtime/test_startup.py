"""Importing TensorFlow quietly."""

import os
import subprocess
import sys

from cnnlab.runtime.startup import import_tensorflow


def test_what_the_user_set_stays(monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")
    import_tensorflow()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "1"


def test_an_import_that_fails_says_everything(tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "import os\nos.write(2, b'library x is missing')\nraise ImportError('broken')\n"
    )
    code = "from cnnlab.runtime.startup import import_tensorflow; import_tensorflow()"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert answer.returncode == 1
    assert "library x is missing" in answer.stderr
    assert "broken" in answer.stderr
