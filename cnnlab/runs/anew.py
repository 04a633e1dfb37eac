"""The command that starts a training anew where it cannot be resumed."""

import shlex
from pathlib import Path

from cnnlab.runs.run import Run

SMALLER = 10
"""By how much the learning rate is divided."""

_OWN = frozenset({"resume", "optimizer.learning_rate", "hydra.run.dir", "hydra.mode"})
_START = frozenset({"weights", "weights_head", "weights_map"})


def command_anew(run: Run) -> str:
    """The command line that trains as `run` was trained, from its best weights and at a tenth of its learning rate.

    Args:
        run: one that has diverged. Where it has no model yet, the command starts from where it had started.

    Returns:
        For a shell; it begins with `cd` where the run was trained in another working directory.
    """
    dropped = _OWN | _START if run.best_model.is_file() else _OWN
    sessions = [*run.record.get("earlier_sessions", []), run.record]
    given: dict[str, str] = {}
    for session in sessions:
        for argument in shlex.split(session.get("command") or "")[2:]:  # after `cnnlab train`
            key = argument.partition("=")[0].lstrip("+~")
            if key not in dropped:
                given[key] = argument
    arguments = list(given.values())
    if run.best_model.is_file():
        arguments.append(f"weights={run.best_model}")
    rate = run.config.optimizer.learning_rate
    arguments.append(f"optimizer.learning_rate={rate / SMALLER:g}")
    folder = run.record.get("working_directory")
    elsewhere = f"cd {shlex.quote(folder)} && " if folder not in (None, str(Path.cwd())) else ""
    return f"{elsewhere}{shlex.join(['cnnlab', 'train', *arguments])}"
