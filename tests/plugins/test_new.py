"""`cnnlab new` and `cnnlab trust`: a folder of one's own, and whose code runs in it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cnnlab import cli
from cnnlab.plugins.trust import trust_file


@pytest.fixture(autouse=True)
def _own_list(tmp_path, monkeypatch, forgetful):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def refused(capsys, *arguments: str) -> str:
    capsys.readouterr()
    assert cli.main([*arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_it_writes_one_of_each_and_says_what_to_do_next(capsys):
    assert cli.main(["new", "own_shapes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "cd own_shapes && cnnlab train"
    written = {Path(line).relative_to(Path.cwd()).as_posix() for line in lines[:-2]}
    package = "own_shapes/own_shapes"
    assert {f"{package}/{name}.py" for name in ("model", "layer", "loss", "augmentation", "dataset")} <= written
    options = {Path(name).parent.name for name in written if name.startswith(f"{package}/conf/")}
    assert options == {"model", "loss", "augmentation", "dataset", "experiment"}
    assert {"own_shapes/pyproject.toml", "own_shapes/README.md", "own_shapes/tests/test_own_shapes.py"} <= written
    assert len(Path("own_shapes/README.md").read_text().splitlines()) <= 10
    assert "PROJECT" not in "".join(Path(name).read_text() for name in written)


def test_what_it_writes_is_clean():
    assert cli.main(["new", "own_clean"]) == 0
    ruff = [sys.executable, "-m", "ruff"] if shutil.which("ruff") is None else ["ruff"]
    for check in (["check", "--isolated", "--select=E,F,I,B"], ["format", "--isolated", "--check"]):
        command = [*ruff, *check, "--line-length=120", "."]
        answer = subprocess.run(command, capture_output=True, text=True, cwd="own_clean")
        assert answer.returncode == 0, answer.stdout + answer.stderr


def test_a_folder_that_is_not_empty_is_left_as_it_is(capsys):
    Path("own_full").mkdir()
    Path("own_full/mine.txt").write_text("mine")
    assert refused(capsys, "new", "own_full").endswith("own_full: is not empty; choose another folder, or empty it")
    assert [file.name for file in Path("own_full").iterdir()] == ["mine.txt"]
    Path("own_file").write_text("")
    assert "is a file" in refused(capsys, "new", "own_file")


def test_an_empty_folder_will_do():
    Path("own_empty").mkdir()
    assert cli.main(["new", "own_empty"]) == 0


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("my-net", "my-net: is no name for a Python package; try my_net"),
        ("3d", "3d: is no name for a Python package; try my_3d"),
        ("class", "class: is no name for a Python package; try my_class"),
        ("näh", "näh: is no name for a Python package; try n_h"),
        ("keras", "keras: another Python package has this name; try my_keras"),
        ("cnnlab", "cnnlab: another Python package has this name; try my_cnnlab"),
    ],
)
def test_a_name_that_cannot_be_a_packages_is_met_with_one_that_can(capsys, name, told):
    assert refused(capsys, "new", name) == f"error: {told}"
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--force"]])
def test_it_takes_one_folder(capsys, arguments):
    assert refused(capsys, "new", *arguments) == "error: new: takes one folder, such as: cnnlab new shapes"


def test_somebody_elses_project_runs_nothing_until_it_is_trusted(capsys, monkeypatch):
    assert cli.main(["new", "own_theirs"]) == 0
    trust_file().unlink()
    monkeypatch.chdir("own_theirs")
    Path("own_theirs/__init__.py").write_text("raise SystemExit('it ran')")
    here = Path.cwd()
    told = "this project brings code of its own, own_theirs, and you have not said that you trust it; read it, then: "
    for command in (
        ["train"],
        ["train", "-m", "seed=0,1"],
        ["inspect"],
        ["eval", "weights=x.keras"],
        ["eval", "run=x"],
    ):
        assert refused(capsys, *command) == f"error: {here}/pyproject.toml: {told}cnnlab trust {here}"
    named = refused(capsys, "train", "targets=[cnnlab,keras,own_theirs]", "seed=-1")
    assert named == "error: seed=-1: must be at least 0"  # named on the command line it may run, if it comes to that
    assert "own_theirs" not in sys.modules
    assert cli.main(["train", "--help"]) == 0
    assert "own_theirs_net" not in capsys.readouterr().out
    assert cli.main(["doctor", "format=json"]) == 0


def test_trust_is_given_once_by_folder_and_ends_with_its_line(capsys, monkeypatch, tmp_path):
    assert cli.main(["new", "own_mine"]) == 0
    copy = shutil.copytree("own_mine", tmp_path / "a copy")
    monkeypatch.chdir(copy)
    assert f"cnnlab trust '{copy}'" in refused(capsys, "inspect")
    assert cli.main(["trust", "."]) == 0
    assert "own_mine" in capsys.readouterr().out
    assert cli.main(["train", "model.width=wide"]) == 2
    assert "model.width=wide: must be an integer" in capsys.readouterr().err
    assert cli.main(["trust"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [str(tmp_path / "work" / "own_mine"), str(copy)]
    trust_file().write_text("")
    assert "you have not said that you trust it" in refused(capsys, "inspect")


def test_only_a_project_can_be_trusted(capsys, tmp_path):
    assert "is no project, with a pyproject.toml that names cnnlab.plugins" in refused(capsys, "trust", ".")
    assert cli.main(["new", "own_whole"]) == 0
    assert "its project is" in refused(capsys, "trust", "own_whole/tests")


def test_what_the_project_puts_first_gives_way_to_the_command_line(capsys, monkeypatch, caplog):
    assert cli.main(["new", "own_order"]) == 0
    monkeypatch.chdir("own_order")
    capsys.readouterr()
    assert cli.main(["train", "--cfg", "job"]) == 0
    shown = capsys.readouterr()
    assert "name: own_order_first" in shown.out
    assert caplog.messages == ["experiment=own_order_first: as the project says in its pyproject.toml"]
    assert cli.main(["train", "experiment=digits_best", "--cfg", "job"]) == 0
    shown = capsys.readouterr()
    assert "name: digits_best" in shown.out
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[project.entry-points."cnnlab.plugins"]\nx = \n', "pyproject.toml: cannot be read (Invalid value"),
        (
            '[project.entry-points."cnnlab.plugins"]\nown_absent = "own_absent"\n',
            "there is no own_absent beside it, which it names as a plug-in",
        ),
        (
            '[project.entry-points."cnnlab.plugins"]\njson = "json"\n',
            "json: is hidden by another json, ",
        ),
        (
            '[project.entry-points."cnnlab.plugins"]\nx = "x"\n[tool.cnnlab]\noptions = ["seed=1"]\n',
            'tool.cnnlab has but one key, train = ["key=value", …]',
        ),
    ],
)
def test_a_project_that_is_wrong_is_told_in_one_line(capsys, text, told):
    Path("pyproject.toml").write_text(text)
    trust_file().parent.mkdir(parents=True)
    trust_file().write_text(f"{Path.cwd()}\n")
    assert told in refused(capsys, "train")


def test_a_pyproject_that_has_nothing_to_do_with_cnnlab_is_no_project(capsys):
    Path("pyproject.toml").write_text("nonsense [")
    assert cli.main(["train", "--cfg", "job"]) == 0
