"""What may stand in cnnlab/visualize/methods, and in which words methods speak."""

import re
from pathlib import Path

import pytest

import cnnlab.visualize.methods

METHODS = Path(cnnlab.visualize.methods.__file__).parent
OPTIONS = sorted((Path(__file__).parents[2] / "conf" / "method").glob("*.yaml"))


def test_every_file_of_methods_is_the_target_of_an_option_and_no_helper():
    targets = re.findall(
        r"^_target_: cnnlab\.visualize\.methods\.(\w+)\.(\w+)$", "".join(file.read_text() for file in OPTIONS), re.M
    )
    assert {file.stem for file in METHODS.glob("[!_]*.py")} == {module for module, _ in targets}
    assert all(function == f"draw_{module}" for module, function in targets)


@pytest.mark.parametrize("file", sorted(METHODS.glob("[!_]*.py")), ids=lambda file: file.stem)
def test_no_method_imports_another(file):
    assert "cnnlab.visualize.methods" not in file.read_text()
