"""Keras's downloader as the last resort."""

import os
import subprocess
import sys

import numpy as np
import pytest

CODE = """
from cnnlab.data.cifar import cifar10
from cnnlab.data.mnist import mnist
from cnnlab.errors import UserError
for load in (mnist, cifar10):
    try:
        load()
    except UserError as error:
        print(error)
"""


@pytest.mark.slow
def test_a_failed_download_says_what_to_place_where(tmp_path):
    unreachable = "http://127.0.0.1:9"  # the discard port: nobody listens
    environment = os.environ | {
        "KERAS_HOME": str(tmp_path),
        "http_proxy": unreachable,
        "https_proxy": unreachable,
        "no_proxy": "",
        "CNNLAB_DATA": str(tmp_path),
    }
    result = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    expected = {"mnist": "in a folder mnist/", "cifar10": "cifar-10-batches-py/"}
    for line, (name, files) in zip(result.stdout.splitlines(), expected.items(), strict=True):
        assert line.startswith(f"{name}: not in $CNNLAB_DATA or ./data, and the download failed (")
        assert files in line
        assert line.endswith("set dataset.root=DIR to the folder that holds it")


def test_what_keras_fetched_is_split_as_the_published_files_are(load, monkeypatch, tmp_path, capsys):
    import keras

    def load_data():  # stands in for the network
        print("Downloading data")
        images = np.repeat(np.arange(5, dtype=np.uint8), 10_000)[:, None, None, None] * np.ones(
            (1, 32, 32, 3), np.uint8
        )
        labels = (np.arange(50_000) % 10)[:, None].astype(np.uint8)
        return (images, labels), (images[:10], labels[:10])

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", load_data)
    monkeypatch.setenv("CNNLAB_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    splits = load("cifar10").splits
    assert np.unique(splits["train"].images).tolist() == [0, 1, 2, 3]
    assert np.unique(splits["validation"].images).tolist() == [4]
    assert splits["test"].labels.tolist() == list(range(10))
    output = capsys.readouterr()
    assert output.out == ""  # results only
    assert "Downloading data" in output.err
