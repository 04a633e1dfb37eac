"""Importing TensorFlow quietly."""

import os
import subprocess
import sys


def test_tensorflow_starts_without_a_word():
    code = "from cnnlab.runtime.startup import import_tensorflow as load; load(); import keras; print('ready')"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "ready\n"
    assert answer.stderr == ""


def test_what_the_user_set_stays(monkeypatch):
    code = (
        "import os; from cnnlab.runtime.startup import import_tensorflow; import_tensorflow();"
        "print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    )
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "1"}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert answer.stdout == "1\n"


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
