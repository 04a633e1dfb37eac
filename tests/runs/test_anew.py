"""The command that starts anew where a training has diverged."""

import shlex
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from cnnlab.runs.anew import command_anew
from cnnlab.runs.run import Run

CONFIG = OmegaConf.create({"optimizer": {"learning_rate": 0.05}})


@pytest.fixture
def diverged(tmp_path):
    """`diverged(*commands)`: a run that these commands trained, one after the other, in this working directory."""

    def make(*commands: str, place: str = str(Path.cwd())) -> Run:
        *earlier, last = ({"command": command, "working_directory": place} for command in commands)
        return Run(tmp_path / "it's", CONFIG, last | {"earlier_sessions": earlier})

    return make


def test_it_keeps_what_was_asked_for_and_lowers_the_learning_rate(diverged):
    run = diverged("cnnlab train model=resnet optimizer.learning_rate=0.05 hydra.run.dir=x 'name=a b' hydra.mode=RUN")
    assert command_anew(run) == "cnnlab train model=resnet 'name=a b' optimizer.learning_rate=0.005"


def test_it_starts_from_the_best_weights_there_are(diverged):
    run = diverged("cnnlab train weights=old.h5 weights_head=drop weights_map=names.yaml seed=3")
    assert "weights=old.h5 weights_head=drop weights_map=names.yaml" in command_anew(run)
    run.path.mkdir()
    run.best_model.touch()
    command = shlex.split(command_anew(run))
    assert command == ["cnnlab", "train", "seed=3", f"weights={run.best_model}", "optimizer.learning_rate=0.005"]


def test_it_remembers_what_the_run_began_with_and_what_changed_on_the_way(diverged):
    run = diverged("cnnlab train seed=3 trainer.epochs=5", "cnnlab train resume=RUN trainer.epochs=9")
    assert command_anew(run) == "cnnlab train seed=3 trainer.epochs=9 optimizer.learning_rate=0.005"


def test_it_goes_where_relative_paths_hold(diverged):
    run = diverged("cnnlab train dataset.root=photos", place="/some where")
    assert command_anew(run).startswith("cd '/some where' && cnnlab train dataset.root=photos ")
