"""Both doors for code of one's own, from end to end: an installed package, and a trusted project folder."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from PIL import Image

from cnnlab import cli
from cnnlab.plugins.plugin import installed_plugins

from .conftest import install

TINY = ("trainer.steps=2", "trainer.progress=none", "dataset.images=60", "trainer.batch_size=8", "trainer.threads=null")


@dataclass
class Door:
    """A plug-in that is there, the folder to work in, and the options that begin a training of its recipe."""

    name: str
    folder: Path
    recipe: tuple[str, ...]


@pytest.fixture(scope="module", params=["project", "installed"])
def door(request, tmp_path_factory, forgetful) -> Iterator[Door]:
    base = tmp_path_factory.mktemp(request.param)
    name = f"own_{request.param}"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(base)
        assert cli.main(["new", name]) == 0
        if request.param == "project":
            patch.chdir(base / name)
            yield Door(name, base / name, ())
        else:
            shutil.move(base / name / name, base / "site" / name)
            shutil.rmtree(base / name)
            install(base / "site", name, name)
            installed_plugins.cache_clear()
            patch.setattr(sys, "path", [*sys.path, str(base / "site")])
            patch.setenv("PYTHONPATH", os.pathsep.join([str(base / "site"), os.environ.get("PYTHONPATH", "")]))
            yield Door(name, base, (f"experiment={name}_first",))


@pytest.fixture(scope="module")
def run(door) -> Path:
    assert cli.main(["train", *door.recipe, *TINY, "hydra.run.dir=run"]) == 0
    return door.folder / "run"


def test_everything_of_it_is_trained_with(run, door):
    config, record = (yaml.safe_load((run / name).read_text()) for name in ("config.yaml", "run.json"))
    named = [config[group]["_target_"] for group in ("model", "loss", "dataset")]
    named.append(config["augmentation"][f"{door.name}_noise"]["_target_"])
    assert {target.partition(".")[0] for target in named} == {door.name}
    assert record["status"] == "completed"
    project = str(door.folder) if not door.recipe else None
    version = "1.0" if door.recipe else "0.1.0"
    assert record["plugins"] == {door.name: {"package": door.name, "version": version, "project": project}}


def test_its_run_is_resumed_evaluated_predicted_with_and_visualised(run, door, tmp_path):
    Image.new("L", (32, 32)).save(tmp_path / "image.png")
    copy = shutil.copytree(run, tmp_path / "run")
    assert cli.main(["train", f"resume={copy}", "trainer.steps=4"]) == 0
    assert json.loads((copy / "run.json").read_text())["status"] == "completed"
    assert cli.main(["eval", f"run={run}"]) == 0
    assert cli.main(["predict", f"run={run}", f"images={tmp_path}/image.png"]) == 0
    assert cli.main(["visualize", f"run={run}", "method=grad_cam", "method.images=1"]) == 0


@pytest.mark.slow
def test_the_jobs_of_a_sweep_find_it(door):
    assert cli.main(["train", "-m", *door.recipe, *TINY, "seed=1", "sweep.name=own"]) == 0
    record = json.loads((door.folder / "outputs/sweeps/own/single/run.json").read_text())
    assert (record["status"], record["config"]["seed"], [*record["plugins"]]) == ("completed", 1, [door.name])


def test_its_options_stand_in_the_help_in_completion_and_in_what_errors_suggest(door, capsys, monkeypatch):
    assert cli.main(["train", "--help", f"model={door.name}_net"]) == 0
    shown = capsys.readouterr().out
    assert f"{door.name}_brier" in shown
    assert "model.width=16 " in shown
    assert cli.main(["train", f"model={door.name}_nett"]) == 2
    assert f"did you mean {door.name}_net?" in capsys.readouterr().err
    assert cli.main(["train", f"model={door.name}_net", "model.width=wide"]) == 2
    assert "error: model.width=wide: must be an integer" in capsys.readouterr().err
    monkeypatch.setenv("COMP_LINE", f"cnnlab train model={door.name[:-2]}")
    assert cli.main(["-sc", "query=bash"]) == 0
    assert f"model={door.name}_net" in capsys.readouterr().out


def test_doctor_lists_it(door, capsys, monkeypatch):
    monkeypatch.setattr("cnnlab.commands.doctor.examine", dict)
    assert cli.main(["doctor", "format=json"]) == 0
    assert door.name in json.loads(capsys.readouterr().out)["plugins"]


def test_it_is_inspected(door, capsys):
    assert cli.main(["inspect", f"model={door.name}_net", "input_shape=[32,32,1]", "format=json"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_it_is_not_imported_for_help_or_for_mistakes(door):
    program = """
import sys
from cnnlab.cli import main
for arguments in (["train", "--help"], ["train", "modle=x"], ["train", "model.nothing=1"], ["train", "seed=-1"]):
    main(arguments)
    assert not {name for name in sys.modules if name.startswith(("own_", "keras", "tensorflow"))}, arguments
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


def test_elsewhere_its_run_asks_for_it_and_imports_nothing(run, door, tmp_path, capsys, monkeypatch):
    from cnnlab.plugins.plugin import installed_plugins

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if str(door.folder) not in entry])
    installed_plugins.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == door.name]:
        monkeypatch.delitem(sys.modules, name)
    for command in ("eval", "predict", "visualize"):
        extra = {"predict": ["images=x.png"], "visualize": ["method=saliency"]}.get(command, [])
        assert cli.main([command, f"run={run}", *extra]) == 2
        line = f"error: run={run}: needs the plug-in {door.name} "
        assert line in (told := capsys.readouterr().err)
        assert "which is not installed" in told
    assert cli.main(["train", f"resume={run}"]) == 2
    assert door.name not in sys.modules
    monkeypatch.undo()
    installed_plugins.cache_clear()
