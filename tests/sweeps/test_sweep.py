"""`cnnlab train -m`: every job is done, or it is said why not; nothing that was made is lost."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra.errors import MissingConfigException

from cnnlab import cli
from cnnlab.config.explain import explain
from cnnlab.config.extras import is_installed
from cnnlab.sweeps.state import SweepState

SMALL = ("input_shape=[8,8,1]", "model.padding=same", "trainer.batch_size=64", "trainer.precision=float32")
TWO_EPOCHS = (*SMALL, "trainer.epochs=2", "trainer.threads=1")
SLOW_STEPS = ("input_shape=[28,28,1]", "trainer.batch_size=4", "trainer.epochs=1")
"""Epochs that last long enough to be hit in the middle."""


class Sweep:
    """`cnnlab train -m` in a folder.

    Attributes:
        directory: of the sweep.
        code, output, messages: of the last command that has ended.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.directory = folder / "outputs" / "sweeps" / "test"
        self._process: subprocess.Popen[str] | None = None

    def start(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cnnlab", "train", "-m", "sweep.name=test", *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self) -> int:
        self.output, self.messages = self._process.communicate(timeout=300)
        self.code = self._process.returncode
        return self.code

    def run(self, *arguments: str) -> int:
        self.start(*arguments)
        return self.finish()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait_for(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 400  # on a machine that is busy with other tests
        while not condition():
            assert time.monotonic() < deadline, "it did not come to that"
            assert self._process.poll() is None, self._process.communicate()[1]
            time.sleep(0.01)

    def states(self) -> dict[str, str]:
        return {name: entry.state for name, entry in SweepState.open(self.directory).entries.items()}

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.communicate()


@pytest.fixture
def sweep(tmp_path) -> Sweep:
    started = Sweep(tmp_path)
    yield started
    started.end()


class SweepHere(Sweep):
    """The same in this process, for what is told and refused before a job is started: a job is forked from it.

    Args:
        folder: the working directory.
        captured: reads what was written since it was read last.
    """

    def __init__(self, folder: Path, captured: pytest.CaptureFixture[str]):
        super().__init__(folder)
        self._captured = captured

    def run(self, *arguments: str) -> int:
        self.code = cli.main(["train", "-m", "sweep.name=test", *arguments])
        self.output, self.messages = self._captured.readouterr()
        return self.code


@pytest.fixture
def sweep_here(tmp_path, monkeypatch, capsys) -> SweepHere:
    monkeypatch.chdir(tmp_path)
    return SweepHere(tmp_path, capsys)


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def processes_in(folder: Path) -> list[int]:
    """The processes whose working directory is `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                if (entry / "cwd").resolve() == folder.resolve() and is_alive(int(entry.name)):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def pid_of(run: Path) -> int:
    return json.loads((run / "run.json").read_text())["pid"]


def weights_of(run: Path) -> dict[str, bytes]:
    newest = max((run / "checkpoints").glob("step-*.npz"))
    with np.load(newest) as arrays:
        return {name: arrays[name].tobytes() for name in arrays.files if name != "state"}  # which tells the time


def write_experiment(folder: Path, **content) -> None:
    (folder / "mine" / "experiment").mkdir(parents=True)
    text = "# @package _global_\n" + yaml.safe_dump(content)
    (folder / "mine" / "experiment" / "grid.yaml").write_text(text)


@pytest.mark.slow
def test_twelve_jobs_of_which_one_raises_one_diverges_and_one_is_killed(sweep, tmp_path):
    later = tmp_path / "later.keras"
    configurations = {f"good{seed}": [f"seed={seed}"] for seed in range(9)}
    configurations |= {
        "raises": [f"weights={later}"],
        "diverges": ["optimizer=sgd", "optimizer.learning_rate=1e30"],
        "killed": [*SLOW_STEPS],
    }
    small = {
        "input_shape": [8, 8, 1],
        "model": {"padding": "same"},
        "trainer": {"batch_size": 64, "precision": "float32", "epochs": 2, "threads": 1},
    }
    write_experiment(tmp_path, **small, hydra={"sweeper": {"configurations": configurations}})
    command = ("--config-dir", str(tmp_path / "mine"), "experiment=grid", "hydra.launcher.slots=2")
    victim = sweep.directory / "configuration=killed"
    sweep.start(*command)
    sweep.wait_for(lambda: list((victim / "checkpoints").glob("step-*.npz")))
    os.kill(pid_of(victim), signal.SIGKILL)

    assert sweep.finish() == 1
    good = {f"configuration=good{seed}": "done" for seed in range(9)}
    assert sweep.states() == good | {
        "configuration=raises": "failed",
        "configuration=diverges": "diverged",
        "configuration=killed": "interrupted",
    }
    assert "9 of 12 jobs are done" in sweep.messages
    for explained in (
        f"configuration=raises: failed: weights={later}",
        "configuration=diverges: diverged: ",
        "killed by SIGKILL",
    ):
        assert explained in sweep.messages
    assert sweep.output.strip() == str(sweep.directory)
    untouched = {name: (sweep.directory / name / "run.json").stat().st_mtime_ns for name in good}

    assert sweep.run(*command) == 1
    assert sweep.states()["configuration=killed"] == "done"
    record = json.loads((victim / "run.json").read_text())
    assert record["earlier_sessions"][0]["status"] == "interrupted"  # it was resumed, and did not begin anew
    assert {sweep.states()[name] for name in ("configuration=raises", "configuration=diverges")} == {
        "failed",
        "diverged",
    }

    later.write_bytes((sweep.directory / "configuration=good0" / "model.keras").read_bytes())
    assert sweep.run(*command, "sweep.retry_failed=true") == 1
    assert sweep.states() == good | {
        "configuration=raises": "done",
        "configuration=diverges": "diverged",
        "configuration=killed": "done",
    }
    assert untouched == {name: (sweep.directory / name / "run.json").stat().st_mtime_ns for name in good}


@pytest.mark.slow
def test_a_job_has_the_same_bytes_alone_and_beside_others(sweep, tmp_path, cnnlab_process):
    options = (*SMALL, "trainer.epochs=1", "trainer.threads=1")
    assert sweep.run("seed=0,1", *options, "hydra.launcher.slots=2") == 0
    alone = tmp_path / "alone"
    process = cnnlab_process("train", *options, "seed=1", f"hydra.run.dir={alone}")
    assert process.wait(timeout=120) == 0, process.communicate()[1]
    assert weights_of(sweep.directory / "seed=1") == weights_of(alone)
    assert weights_of(sweep.directory / "seed=0") != weights_of(alone)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_reaches_the_jobs_and_the_same_command_resumes_them(sweep, tmp_path, number, code):
    command = ("seed=0,1", *SMALL, *SLOW_STEPS, "trainer.threads=1", "trainer.checkpoint_every='10 steps'")
    run = sweep.directory / "seed=0"
    sweep.start(*command)
    sweep.wait_for(lambda: list((run / "checkpoints").glob("step-*.npz")))
    sweep.signal(number)
    assert sweep.finish() == code
    assert sweep.states() == {"seed=0": "interrupted", "seed=1": "pending"}
    assert "the same command resumes" in sweep.messages
    assert processes_in(tmp_path) == []
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"

    assert sweep.run(*command) == 0
    assert sweep.states() == {"seed=0": "done", "seed=1": "done"}
    assert len(json.loads((run / "run.json").read_text())["earlier_sessions"]) == 1


@pytest.mark.slow
def test_where_the_sweep_itself_is_killed_its_jobs_do_not_run_on_alone(sweep, tmp_path):
    sweep.start("seed=0,1", *SMALL, *SLOW_STEPS, "trainer.epochs=50")
    sweep.wait_for(lambda: list((sweep.directory / "seed=0" / "checkpoints").glob("step-*.npz")))
    job = pid_of(sweep.directory / "seed=0")
    sweep.end()
    for _ in range(600):
        if not processes_in(tmp_path):
            break
        time.sleep(0.05)
    assert job not in processes_in(tmp_path)
    assert json.loads((sweep.directory / "seed=0" / "run.json").read_text())["status"] == "interrupted"


@pytest.mark.slow
def test_a_job_that_takes_too_long_is_stopped_and_the_others_run(sweep):
    arguments = ("trainer.epochs=1,100000", *SMALL, "trainer.threads=1", "sweep.job_timeout='1 minute'")
    assert sweep.run(*arguments) == 1
    assert sweep.states() == {"trainer.epochs=1": "done", "trainer.epochs=100000": "failed"}
    assert "no end after 1 minute (sweep.job_timeout)" in sweep.messages


@pytest.mark.slow
def test_a_job_with_another_configuration_is_refused_and_stays_as_it_is(sweep, sweep_here):
    assert sweep.run("seed=0", *SMALL, "trainer.epochs=1", "trainer.threads=1") == 0
    before = (sweep_here.directory / "single" / "run.json").read_bytes()
    assert sweep_here.run("seed=0", *SMALL, "trainer.epochs=1", "trainer.threads=1", "optimizer.learning_rate=0.5") == 2
    assert "was trained with another configuration (optimizer.learning_rate: 0.001 → 0.5)" in sweep_here.messages
    assert "choose another sweep.name" in sweep_here.messages
    assert (sweep_here.directory / "single" / "run.json").read_bytes() == before
    assert sweep_here.run("optimizer=sgd,adam", "seed=0,0", *TWO_EPOCHS, "sweep.dry_run=true") == 0
    assert "2 combinations came up again, since a value is given twice; each is trained once" in sweep_here.messages
    assert f"{sweep_here.directory} holds 1 more jobs, of an earlier grid" in sweep_here.messages


@pytest.mark.slow
def test_folds_are_swept_like_seeds_and_compared_in_pairs(sweep, monkeypatch, capsys):
    folds = ("dataset.folds=3", "dataset.fold=0,1,2", "optimizer=adam,sgd")
    assert sweep.run(*SMALL, "trainer.steps=8", "trainer.threads=1", *folds) == 0, sweep.messages
    assert set(sweep.states()) == {
        f"optimizer={name},dataset.fold={fold}" for name in ("adam", "sgd") for fold in range(3)
    }
    monkeypatch.chdir(sweep.folder)
    assert cli.main(["compare", f"runs={sweep.directory}"]) == 0
    verdicts = (sweep.directory / "compare" / "verdicts.txt").read_text()
    assert "Nadeau and Bengio's corrected resampled t tests over shared folds" in verdicts
    assert "n = 3" in verdicts


def test_a_dry_run_prints_the_grid_and_writes_nothing(sweep_here, tmp_path):
    assert sweep_here.run("optimizer=sgd,adam", "seed=0,1", "sweep.dry_run=true") == 0
    assert "4 of 4 jobs would be trained" in sweep_here.output
    assert "optimizer=sgd,seed=1" in sweep_here.output
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_in_one_job_is_told_before_any_is_trained(sweep_here, tmp_path):
    assert sweep_here.run("model.dropout=0.1,2.0", *TWO_EPOCHS) == 2
    assert "error: model.dropout=2.0: model.dropout=2.0: must be" in sweep_here.messages
    assert list(tmp_path.iterdir()) == []
    assert sweep_here.run("optimizer=sgd,adamm") == 2
    assert "adamm" in sweep_here.messages


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("sweep.job_timeout='5 epochs'", "give minutes"),
        ("sweep.dry_run=maybe", "sweep.dry_run=maybe"),
        ("hydra.launcher.slots=0", "hydra.launcher.slots=0"),
        ("sweep.nmae=x", "sweep.nmae"),
        ("+hydra.sweeper.arms={a:[]}", "hydra.sweeper.arms: no such key; the keys are configurations and params"),
        ("hydra.sweep.dir=x", "sweep.name=test hydra.sweep.dir='x': both say where the sweep is; give one of them"),
        ("hydra.run.dir=x", "give a sweep's with sweep.name or hydra.sweep.dir"),
    ],
)
def test_a_wrong_option_of_the_sweep_is_told_in_one_line(sweep_here, argument, message):
    assert sweep_here.run("seed=0,1", *TWO_EPOCHS, argument) == 2
    assert message in sweep_here.messages
    assert "Traceback" not in sweep_here.messages


def test_a_run_is_resumed_without_m(sweep_here, small_run, tmp_path):
    assert sweep_here.run(f"resume={small_run}", "seed=0,1") == 2
    assert f"resume={small_run}: resumes one run" in sweep_here.messages
    assert list(tmp_path.iterdir()) == []


def test_without_slurm_its_launcher_is_refused_with_a_hint_and_writes_nothing(sweep_here, tmp_path, monkeypatch):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert sweep_here.run("hydra/launcher=submitit_slurm", "seed=0,1", *TWO_EPOCHS) == 2
    assert sweep_here.messages == (
        "error: hydra/launcher=submitit_slurm: sbatch is not found, so there is no SLURM here; "
        "use hydra/launcher=local, or start this on a login node of the cluster\n"
    )
    assert list(tmp_path.iterdir()) == []
    assert sweep_here.run("hydra/launcher=submitit_slurm", "seed=0,1", *TWO_EPOCHS, "sweep.dry_run=true") == 0


def test_what_slurm_refuses_is_told_in_one_line(sweep, tmp_path, monkeypatch):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    (tmp_path / "bin").mkdir()
    for command in ("sbatch", "srun"):
        (tmp_path / "bin" / command).write_text("#!/bin/sh\necho sbatch: error: invalid partition: nope >&2\nexit 1\n")
        (tmp_path / "bin" / command).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    arguments = ("hydra/launcher=submitit_slurm", "hydra.launcher.partition=nope", "seed=0,1", *TWO_EPOCHS)
    assert sweep.run(*arguments) == 2
    assert "error: hydra/launcher=submitit_slurm: sbatch: error: invalid partition: nope" in sweep.messages
    assert "Traceback" not in sweep.messages


def test_a_launcher_that_is_not_installed_names_its_extra(sweep_here):
    if is_installed("hydra_plugins.hydra_ray_launcher"):
        pytest.skip("hydra-ray-launcher is installed")
    assert sweep_here.run("hydra/launcher=ray", "seed=0,1", *TWO_EPOCHS) == 2
    assert sweep_here.messages == (
        "error: hydra/launcher=ray: hydra-ray-launcher is not installed; pip install 'cnnlab[ray]'\n"
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("submitit_slurm", "hydra-submitit-launcher is not installed; pip install 'cnnlab[slurm]'"),
        ("submitit_slrum", "no such option; did you mean submitit_slurm?; options: basic, local"),
    ],
)
def test_a_launcher_that_hydra_does_not_know_is_explained(option, message):
    error = MissingConfigException("", f"hydra/launcher/{option}", ["basic", "local"])
    assert explain(error, []) == f"hydra/launcher={option}: {message}"


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "submitit_local", "ray"])
def test_the_contract_holds_with_launchers_of_hydra(sweep, launcher):
    if launcher != "basic":
        pytest.importorskip(f"hydra_plugins.hydra_{launcher.removesuffix('_local')}_launcher")
    arguments = ("optimizer.learning_rate=0.001,1e30,0.002", "optimizer=sgd", *TWO_EPOCHS)
    assert sweep.run(f"hydra/launcher={launcher}", *arguments) == 1
    rates = {"0.001": "done", "1e+30": "diverged", "0.002": "done"}
    assert sweep.states() == {f"optimizer.learning_rate={rate}": state for rate, state in rates.items()}
    assert "2 of 3 jobs are done" in sweep.messages


@pytest.mark.slow
def test_a_job_of_submitit_saves_before_submitit_requeues_it(sweep):
    """As where SLURM announces the end of a job's time: SIGUSR2 to all of its processes, which submitit answers."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    run = sweep.directory / "single"
    options = (*SMALL, *SLOW_STEPS, "trainer.epochs=10", "trainer.threads=1", "trainer.checkpoint_every='60 minutes'")
    sweep.start("seed=0", "hydra/launcher=submitit_local", *options)
    sweep.wait_for(lambda: (run / "steps.csv").exists() and len((run / "steps.csv").read_text()) > 1000)
    job = pid_of(run)
    launcher = int(Path(f"/proc/{job}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(job, signal.SIGUSR2)
    os.kill(launcher, signal.SIGUSR2)

    assert sweep.finish() == 0, sweep.messages
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "completed"
    assert [session["status"] for session in record["earlier_sessions"]] == ["interrupted"]
    assert "resuming after step" in (run / "train.log").read_text()
