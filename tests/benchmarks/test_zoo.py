"""RESULTS.md and the presets' headers say what the records in results/ say."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ZOO = ROOT / "benchmarks" / "zoo.py"


def zoo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(ZOO), *arguments], capture_output=True, text=True)


def test_the_table_and_the_headers_are_up_to_date():
    result = zoo("table", "--check")
    assert result.returncode == 0, result.stderr


def test_every_preset_is_measured_against_something():
    presets = {path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml")}
    elsewhere = {"all_cnn_3000"}  # see docs/studies.md
    presets -= {name for name in presets if name.startswith(("sweep_", "imagenet_"))} | elsewhere
    assert presets == set(yaml.safe_load(ZOO.with_suffix(".yaml").read_text()))


def test_records_tell_nothing_private():
    for path in (ROOT / "results").rglob("*.json"):
        text = path.read_text()
        assert "working_directory" not in text, path
        assert '"pid"' not in text, path
        assert "hydra.run.dir" not in text, path
        assert '"root": "/' not in text, path


@pytest.mark.parametrize("name", ["all_cnn", "nothing"])
def test_a_preset_that_is_not_there_is_refused_with_those_that_are(name):
    result = zoo("run", name)
    assert result.returncode == 2
    assert f"no such preset: {name}; there are digits_best, " in result.stderr
