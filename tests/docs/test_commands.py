"""Every command on every page can be given as it stands: cnnlab's compose and are checked, without being run."""

import re
import tomllib
from collections.abc import Callable
from itertools import dropwhile
from pathlib import Path

import pytest
from PIL import Image

from cnnlab import cli
from cnnlab.config.compose import launch
from cnnlab.runs.run import Run
from tests.docs.conftest import ROOT, Line, commands

LINES = list(commands())
PLACEHOLDERS = {"NAME": "grad_cam", "$name": "initializers", "RUN_A": "RUN", "RUN_B": "RUN"}
"""What stands on a page for a name of the reader's, and a name to check the command with."""

NOT_OURS = {
    "cd": "the shell's",
    "for": "the shell's",
    "done": "the shell's",
    "tfds": "TensorFlow Datasets' own program",
    "mlflow": "MLflow's own program",
    "tensorflow_model_server": "TensorFlow Serving's own program",
    "curl": "asks a server that has to be running",
    "pre-commit": "a program of its own",
}
"""Programs whose command lines are not checked, and why."""


def starting(*programs: str) -> list[Line]:
    return [line for line in LINES if program_of(line) in programs]


def program_of(line: Line) -> str:
    """The program of a command, after variables that are set for it and a shell's `do`."""
    word = next(dropwhile(lambda word: word == "do" or re.match(r"[A-Z_]+=", word), line.words))
    return "scripts" if word.startswith("scripts/") else word


def arguments_of(line: Line) -> list[str]:
    words = list(line.words)
    words = words[words.index(next(word for word in words if word == "cnnlab")) + 1 :]
    return [replaced(word) for word in words]


def replaced(word: str) -> str:
    for placeholder, name in PLACEHOLDERS.items():
        word = re.sub(rf"(?<![\w/]){re.escape(placeholder)}(?!\w)", name, word)
    return word.replace("sweep_$name", "sweep_initializers")


def is_sweep(arguments: list[str]) -> bool:
    return "-m" in arguments or any(word.startswith("experiment=sweep_") for word in arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with what the pages speak of: RUN, photos and the rest, none of which is trained."""
    folder = tmp_path_factory.mktemp("pages")
    for path in ("photos/cat", "photos/dog", "photos2/cat", "imagenet/train/cat", "mine/model", "data/cats_vs_dogs"):
        (folder / path).mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "photos" / "cat" / "1.jpg")
    for table in ("photos.csv", "photos/photos.csv"):
        (folder / table).write_text("path,label\ncat/1.jpg,cat\n")
    (folder / "mine" / "model" / "mynet.yaml").write_text("_target_: mynet.build\n")
    (folder / "mynet.py").write_text("def build(input_shape, num_classes): ...\n")
    store(folder / "RUN", "dataset=image_folder", f"dataset.root={folder / 'photos'}")
    return folder


def store(path: Path, *words: str) -> None:
    """A run's folder as it is when the training begins."""
    configs = []
    launch("train", [*words, f"hydra.run.dir={path}"], task=lambda config, directory: configs.append(config))
    Run.create(path, configs[0]).begin()


@pytest.fixture
def compose(folder, monkeypatch) -> Callable[[str, list[str]], None]:
    """`compose(command, arguments)` does all that a command does before its work begins."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr("cnnlab.config.extras.is_installed", lambda package: True)

    def call(command: str, arguments: list[str]) -> None:
        if is_sweep(arguments):
            if "sweep.dry_run=true" not in arguments:
                arguments = [*arguments, "sweep.dry_run=true"]  # composes and checks every job
            launch(command, arguments, task=lambda config, directory: None, train_job=lambda *_: pytest.fail("trains"))
            return
        calls = []
        launch(command, arguments, task=lambda config, directory: calls.append(config))
        assert len(calls) == 1

    return call


SWEEPS = [line for line in starting("cnnlab") if is_sweep(arguments_of(line))]


@pytest.mark.parametrize("line", [line for line in starting("cnnlab") if not (line.answer or line in SWEEPS)], ids=str)
def test_a_command_of_cnnlab_composes_and_is_valid(line, compose, tmp_path):
    command, *arguments = arguments_of(line)
    if cli.COMMANDS[command].operand:
        assert len(arguments) == 1
    elif "--help" in arguments:
        assert cli.main([command, *arguments]) == 0
    else:
        if line.page.endswith(".yaml"):  # a recipe speaks of its own run
            store(tmp_path / "run", f"experiment={line.page.removesuffix('.yaml')}", "dataset.root=photos")
            arguments = [f"run={tmp_path / 'run'}" if word == "run=RUN" else word for word in arguments]
        compose(command, arguments)


@pytest.mark.slow  # together: they compose more than a hundred jobs
@pytest.mark.parametrize("line", SWEEPS, ids=str)
def test_every_job_of_a_sweep_composes_and_is_valid(line, compose, capsys):
    command, *arguments = arguments_of(line)
    compose(command, arguments)
    counted = re.search(r"^(\d+) of (\d+) jobs would be trained in ", capsys.readouterr().out, re.M)
    assert int(counted[1]) == int(counted[2]) > 1


@pytest.mark.parametrize("line", starting("scripts", "sbatch"), ids=str)
def test_the_arguments_of_a_script_are_those_of_a_training(line, compose):
    script, *arguments = dropwhile(lambda word: not word.startswith("scripts/"), line.words)
    assert (ROOT / script).stat().st_mode & 0o111, f"{script} is not executable"
    sweep = ["-m"] if script.endswith("sweep.sh") else []
    compose("train", [*sweep, *(word for word in arguments if "=" in word)])


REAL = ("on_error=stop", "1e6", "[6,6,1]")
"""What shows that an answer takes data or a training: tests/docs/test_answers.py."""


@pytest.mark.parametrize(
    "line",
    [line for line in starting("cnnlab") if line.answer and not any(word in str(line) for word in REAL)],
    ids=str,
)
def test_a_mistake_is_answered_as_the_page_shows(line, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert cli.main(arguments_of(line)) == 2
    assert capsys.readouterr().err.splitlines() == list(line.answer)


@pytest.mark.parametrize("line", starting("make"), ids=str)
def test_a_target_of_make_is_there(line):
    assert re.search(rf"^{line.words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("line", starting("pip"), ids=str)
def test_extras_that_are_installed_exist(line):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = [name for word in line.words for found in re.findall(r"\[(.*)\]", word) for name in found.split(",")]
    assert set(named) <= extras.keys()


@pytest.mark.parametrize("line", starting("python"), ids=str)
def test_a_program_of_the_repository_is_there(line):
    assert line.words[1:] == ("-m", "pytest") or (ROOT / line.words[1]).is_file()


def test_no_other_program_is_on_a_page():
    checked = {"cnnlab", "scripts", "sbatch", "make", "pip", "python"}
    assert {program_of(line) for line in LINES} - checked - NOT_OURS.keys() == set()
