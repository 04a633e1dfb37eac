"""RESULTS.md and the recipes' headers say what the records in results/ say."""

import runpy
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


def test_every_recipe_is_measured_against_something():
    recipes = {path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml")}
    elsewhere = {"all_cnn_3000"}  # see docs/studies.md
    recipes -= {name for name in recipes if name.startswith(("sweep_", "imagenet_"))} | elsewhere
    assert recipes == set(yaml.safe_load(ZOO.with_suffix(".yaml").read_text()))


def test_records_tell_nothing_private():
    for path in (ROOT / "results").rglob("*.json"):
        text = path.read_text()
        assert "working_directory" not in text, path
        assert '"pid"' not in text, path
        assert "hydra.run.dir" not in text, path
        assert '"root": "/' not in text, path


@pytest.mark.parametrize("name", ["all_cnn", "nothing"])
def test_a_recipe_that_is_not_there_is_refused_with_those_that_are(name):
    result = zoo("run", name)
    assert result.returncode == 2
    assert f"no such recipe: {name}; there are digits_best, " in result.stderr


@pytest.mark.parametrize(
    ("accuracies", "target", "said"),
    [
        ([0.9395, 0.9402, 0.9419], 0.93, "reached"),
        ([0.9395, 0.9402, 0.9419], 0.94, "not distinguishable"),
        ([0.9395, 0.9402, 0.9419], 0.95, "missed"),
        ([0.9395, 0.9402], 0.5, "fewer than 3 seeds"),
    ],
)
def test_a_number_is_reached_where_the_whole_interval_says_so(accuracies, target, said):
    assert runpy.run_path(str(ZOO))["verdict"](accuracies, target) == said


def test_seeds_that_draw_their_own_test_images_tell_less():
    verdict = runpy.run_path(str(ZOO))["verdict"]
    accuracies = [0.9395, 0.9402, 0.9419]
    assert verdict(accuracies, 0.937) == "reached"
    assert verdict(accuracies, 0.937, held_out=1.0) == "not distinguishable"


def test_all_machines_and_precisions_of_a_row_are_told():
    host = {"cores": 2, "processor": "AMD EPYC"}
    records = [{"host": host, "precision": precision} for precision in ("float32", "float32", "bfloat16")]
    records.append({"host": {"cores": 4}, "precision": "bfloat16"})
    hardware = runpy.run_path(str(ZOO))["hardware"](records)
    assert hardware == "2 cores, AMD EPYC, float32 and bfloat16; 4 cores, bfloat16"
