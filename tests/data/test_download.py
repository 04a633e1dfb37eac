"""Keras's downloader as the last resort."""

import os
import subprocess
import sys

import pytest

CODE = """
import sys
from cnnlab.data.{module} import {name}
from cnnlab.errors import UserError
try:
    {name}()
except UserError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("module", "name", "files"),
    [("mnist", "mnist", "in a folder mnist/"), ("cifar", "cifar10", "cifar-10-batches-py/")],
)
def test_a_failed_download_says_what_to_place_where(tmp_path, module, name, files):
    unreachable = "http://127.0.0.1:9"  # the discard port: nobody listens
    environment = os.environ | {
        "KERAS_HOME": str(tmp_path),
        "http_proxy": unreachable,
        "https_proxy": unreachable,
        "no_proxy": "",
        "CNNLAB_DATA": str(tmp_path),
    }
    result = subprocess.run(
        [sys.executable, "-c", CODE.format(module=module, name=name)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (line,) = result.stdout.splitlines()
    assert line.startswith(f"{name}: not in $CNNLAB_DATA or ./data, and the download failed (")
    assert files in line
    assert line.endswith("set dataset.root=DIR to the folder that holds it")
