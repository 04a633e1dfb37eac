"""What may stand in cnnlab/visualize/methods, and in which words methods speak."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import cnnlab.visualize.methods
from cnnlab import cli

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


def having(key):
    """The methods with such an option."""
    return [file.stem for file in OPTIONS if key in OmegaConf.load(file)]


@pytest.mark.parametrize("method", having("target"))
def test_every_method_explains_by_itself_what_has_no_label(method):
    assert OmegaConf.load(OPTIONS[0].parent / f"{method}.yaml").target is None


@pytest.mark.parametrize("method", having("seed"))
def test_a_seed_is_one_that_tensorflow_takes(method, capsys):
    assert cli.main(["visualize", f"method={method}", "method.seed=2147483648"]) == 2
    assert capsys.readouterr().err == "error: method.seed=2147483648: must be from 0 to 2147483647\n"
