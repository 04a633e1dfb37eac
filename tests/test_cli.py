"""The command line as a whole: help, exit codes, what is imported, completion."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cnnlab import __version__, cli
from cnnlab.errors import Diverged, Interrupted, UserError

HEAVY = "tensorflow keras sklearn scipy pandas matplotlib"


def cnnlab(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cnnlab", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**os.environ, **environment})


@pytest.fixture
def command(monkeypatch, tmp_path):
    """`command(error)` runs a valid `cnnlab doctor` whose work is to raise `error`; gives the exit code."""
    monkeypatch.chdir(tmp_path)

    def run(error: BaseException | None) -> int:
        def work(config, directory):
            if error is not None:
                raise error

        monkeypatch.setattr(cli, "_load", lambda target: work)
        return cli.main(["doctor"])

    return run


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_command_with_one_line_and_examples(arguments, capsys):
    assert cli.main(arguments) == 0
    output = capsys.readouterr().out
    for name, entry in cli.COMMANDS.items():
        assert f"  {name} " in output
        assert entry.summary in output
    assert "examples:" in output
    assert max(map(len, output.splitlines())) <= 120


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"cnnlab {__version__}\n"


def test_the_package_runs_as_the_program_and_calls_itself_cnnlab():
    assert cnnlab("--version").stdout == f"cnnlab {__version__}\n"
    assert cnnlab("train", "--help").stdout.startswith("cnnlab train: ")
    assert cnnlab("trian").returncode == 2
    assert cnnlab("-sc", "install=bash").stdout.rstrip().endswith("hydra_bash_completion cnnlab")


def test_a_terminal_without_a_character_is_no_reason_to_fail():
    answer = cnnlab("--help", PYTHONIOENCODING="ascii")
    assert answer.stdout.startswith("usage: cnnlab COMMAND [group=option] [key=value] ?\n"), answer.stderr


def test_an_unknown_command_is_met_with_the_nearest(capsys):
    assert cli.main(["trian"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: trian: no such command; did you mean train?")


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (None, 0, ""),
        (UserError("key=value: is wrong"), 2, "error: key=value: is wrong\n"),
        (UserError("in\n two lines"), 2, "error: in two lines\n"),
        (Diverged("loss is NaN at step 7"), 3, "error: loss is NaN at step 7\n"),
        (Interrupted(signal.SIGTERM, "saved at step 7"), 143, "interrupted: saved at step 7\n"),
        (Interrupted(signal.SIGINT, "saved at step 7"), 130, "interrupted: saved at step 7\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/full/file"),
            2,
            "error: /full/file: No space left on device\n",
        ),
        (OSError(errno.EROFS, "Read-only file system", "/ro"), 2, "error: /ro: Read-only file system\n"),
        (PermissionError(errno.EACCES, "Permission denied", "/root/x"), 2, "error: /root/x: Permission denied\n"),
    ],
)
def test_exit_codes_tell_how_a_command_ended(command, capsys, error, code, told):
    assert command(error) == code
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), ValueError("a bug"), FileNotFoundError(errno.ENOENT, "a bug")]
)
def test_a_bug_shows_its_traceback(command, capsys, error):
    assert command(error) == 1
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "a bug" in told


def test_too_little_memory_is_told_in_one_line_with_the_way_out(command, capsys):
    class ResourceExhaustedError(Exception):  # TensorFlow's own takes the graph's node too
        pass

    where = "/job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc"
    message = f"Graph execution error:\n\nOOM when allocating tensor with shape[512,398,24] and type float on {where}\n"
    assert command(ResourceExhaustedError(message)) == 2
    told = capsys.readouterr().err
    assert told.startswith(
        "error: out of memory: no room for a tensor of shape[512,398,24] on GPU:0; lower trainer.batch"
    )
    assert len(told.splitlines()) == 1


def test_the_traceback_of_a_mistake_is_there_for_who_asks(command, capsys, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert command(UserError("key=value: is wrong")) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_for_outputs_is_the_users_mistake(tmp_path, monkeypatch, capsys):
    tmp_path.chmod(0o500)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train"]) == 2
    assert "Permission denied" in capsys.readouterr().err


def test_a_run_directory_below_a_file_is_the_users_mistake(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "hydra.run.dir=file/run"]) == 2
    assert capsys.readouterr().err.startswith("error: file")


def test_a_reader_that_has_seen_enough_is_no_error():
    pipe = subprocess.Popen([sys.executable, "-m", "cnnlab", "train", "--cfg", "job"], stdout=-1, stderr=-1, text=True)
    pipe.stdout.close()
    assert pipe.stderr.read() == ""
    assert pipe.wait() == 0


def test_a_result_that_does_not_fit_the_disk_is_an_error():
    with Path("/dev/full").open("w") as full:
        answer = subprocess.run([sys.executable, "-m", "cnnlab"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert answer.returncode == 2
    assert answer.stderr.startswith("error: output: No space left on device\n")


@pytest.mark.parametrize("closed", ["2>/dev/full", "2>&-", ">&-"])
def test_messages_that_cannot_be_written_change_nothing(closed):
    command = f"{sys.executable} -m cnnlab trian {closed}"
    assert subprocess.run(command, shell=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 2


LIGHT = [
    [],
    ["--help"],
    ["trian"],
    ["-sc", "query=bash"],
    ["train", "--help"],
    ["train", "--cfg", "job"],
    ["train", "--info", "all"],
    ["train", "--hydra-help"],
    ["inspect", "--cfg", "job", "--resolve"],
    ["train", "modle=x"],
    ["train", "model=x"],
    ["train", "name=a=b"],
    ["train", "trainer.epochs=-1"],
    ["train", "trainer.precision=bf16"],
    ["train", "optimizer._target_=keras.optimizers.Adma"],
    ["train", "+optimizer.lr=1"],
    ["train", "dataset.validation=none", "schedule=plateau"],
    ["train", "resume=nowhere"],
    ["train", "--cgf"],
    ["eval", "run=."],
    ["predict"],
    ["doctor", "format=x"],
]


def test_help_completion_and_mistakes_import_nothing_heavy(tmp_path):
    code = f"""
import json, sys
from cnnlab.cli import main

for arguments in json.loads(sys.argv[1]):
    code = main(arguments)
    heavy = sorted(set({HEAVY!r}.split()) & set(sys.modules))
    assert code in (0, 2) and not heavy, (arguments, code, heavy)
"""
    answer = subprocess.run(
        [sys.executable, "-c", code, json.dumps(LIGHT)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "COMP_LINE": "cnnlab train optimizer="},
    )
    assert answer.returncode == 0, answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_needs_no_configuration_does_not_wait_for_hydra():
    code = """
import sys
from cnnlab.cli import main

for arguments in ([], ["--help"], ["--version"], ["trian"]):
    main(arguments)
    assert "hydra" not in sys.modules, arguments
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


def test_a_mistake_is_one_line_without_a_traceback(tmp_path):
    answer = cnnlab("train", "trainer.epochs=-1", cwd=tmp_path)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr == "error: trainer.epochs=-1: must be greater than 0\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "expected", "unexpected"),
    [
        ("cnnlab tr", {"train"}, {"eval"}),
        ("cnnlab ", {"train", "eval", "predict", "inspect", "doctor"}, set()),
        ("/usr/bin/cnnlab train sched", {"schedule="}, {"train"}),
        ("cnnlab train model=", {"model=mnist_cnn", "model=all_cnn_c"}, {"model=run"}),
        ("cnnlab train model=all_cnn_c trainer.ep", {"trainer.epochs="}, set()),
        ("cnnlab inspect form", {"format="}, set()),
        ("cnnlab doctor form", {"format="}, {"model="}),
        ("cnnlab train seed=1 data", {"dataset="}, set()),
        ("cnnlab train mod", {"model="}, {"model"}),
        ("cnnlab nonsense mod", set(), {"model="}),
        ("cnnlab train --nonsense mod", set(), {"model="}),
        ("cnnlab eval run=nowhere spl", set(), set()),
    ],
)
def test_shells_complete_commands_groups_options_and_keys(line, expected, unexpected, monkeypatch, capsys):
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    assert cli.main(["-sc", "query=bash"]) == 0
    captured = capsys.readouterr()
    offered = set(captured.out.split())
    assert expected <= offered
    assert not unexpected & offered
    assert captured.err == ""


@pytest.mark.parametrize("arguments", [["-sc", "install=bash"], ["train", "-sc", "install=bash"]])
def test_the_shell_script_is_for_the_whole_program(arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/cnnlab", *arguments])
    assert cli.main() == 0
    assert capsys.readouterr().out.rstrip().endswith("hydra_bash_completion cnnlab")


def test_bash_completes_through_the_installed_script(tmp_path):
    program = Path(sys.executable).with_name("cnnlab")
    if not program.exists():
        pytest.skip("cnnlab is not installed beside this Python")
    script = f"""
        PATH={program.parent}:$PATH
        eval "$(cnnlab -sc install=bash)"
        COMP_LINE="cnnlab train schedule=cos"; COMP_POINT=${{#COMP_LINE}}
        COMP_WORDS=(cnnlab train schedule=cos); COMP_CWORD=2
        hydra_bash_completion
        echo "${{COMPREPLY[@]}}"
    """
    answer = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert answer.stdout.strip() == "schedule=cosine"


def test_doctor_starts_tensorflow_without_a_word_and_prints_results_alone(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")  # as where the user has set nothing
    answer = cnnlab("doctor", "format=json", cwd=tmp_path)
    assert answer.returncode == 0
    assert json.loads(answer.stdout)["versions"]["cnnlab"] == __version__
    assert answer.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_named(capsys):
    assert cli.main(["train", "hydra.run.dir=/proc/nowhere"]) == 2
    assert "error: /proc/nowhere: cannot be made" in capsys.readouterr().err
