"""The command line: `cnnlab COMMAND key=value …`.

Nothing heavy is imported before a command's configuration is known to be good, so that help, completion and
mistakes answer at once.
"""

import errno
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from cnnlab import __version__
from cnnlab.config.nearest import did_you_mean
from cnnlab.errors import Diverged, Interrupted, Unfinished, UserError, WorkerLost
from cnnlab.runtime.streams import outlive_readers
from cnnlab.runtime.termination import Terminated, end_on_sigterm

if TYPE_CHECKING:
    from hydra.conf import HydraConf
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        target: "module:function" of the function that runs it with (config, directory).
        summary: one line for the help.
        uses: what its help shows of the groups and keys it shares with `train`; None for all.
        operand: what it takes in place of a configuration, for the help; its function is called with the arguments.
    """

    target: str
    summary: str
    uses: tuple[str, ...] | None = ()
    operand: str | None = None


COMMANDS = {
    "train": Command("cnnlab.commands.train:train", "train a model; the run's directory explains itself", uses=None),
    "eval": Command(
        "cnnlab.commands.eval:evaluate",
        "evaluate a run, or weights, on one split",
        uses=(
            "dataset",
            "model",
            "trainer",
            "experiment",
            "seed",
            "seeds",
            "weights",
            "weights_map",
            "input_shape",
            "num_classes",
            "targets",
        ),
    ),
    "predict": Command("cnnlab.commands.predict:predict", "classify image files with a run's best model"),
    "inspect": Command(
        "cnnlab.commands.inspect:inspect",
        "print a model's layers, parameters, MACs, memory",
        uses=(
            "dataset",
            "model",
            "initializer",
            "optimizer",
            "experiment",
            "seed",
            "seeds",
            "input_shape",
            "num_classes",
        ),
    ),
    "doctor": Command("cnnlab.commands.doctor:doctor", "print what this machine offers and what cnnlab makes of it"),
    "visualize": Command(
        "cnnlab.commands.visualize:visualize",
        "look inside a trained network with a method",
        uses=(
            "dataset",
            "augmentation",
            "model",
            "experiment",
            "seed",
            "seeds",
            "weights",
            "weights_map",
            "input_shape",
            "num_classes",
            "targets",
        ),
    ),
    "export": Command(
        "cnnlab.commands.export:export", "write a run's best model as SavedModel, ONNX or LiteRT, and check it"
    ),
    "compare": Command("cnnlab.commands.compare:compare", "compare the runs of a sweep: tables, curves, verdicts"),
    "new": Command("cnnlab.commands.new:new", "write a project for code of your own", operand="DIR"),
    "trust": Command("cnnlab.commands.trust:trust", "let the code of a project folder run", operand="[DIR]"),
}

HELP = """\
usage: cnnlab COMMAND [group=option] [key=value] …

{commands}

examples:
  cnnlab train                                             the default: a small net on handwritten digits
  cnnlab train model=all_cnn_c dataset=cifar10 optimizer.learning_rate=0.05
  cnnlab train resume=RUN                                  resume a run exactly where it stopped
  cnnlab eval run=RUN split=test
  cnnlab predict run=RUN images='photos/*.jpg'
  cnnlab inspect model=all_cnn_c dataset=cifar10
  cnnlab visualize run=RUN method=grad_cam method.images='photos/*.jpg'
  cnnlab export run=RUN 'format=[saved_model,onnx,litert]'
  cnnlab compare runs=outputs/sweeps/NAME
  cnnlab new DIR                                           a project for code of your own

cnnlab COMMAND --help lists the groups, their options and all keys; --cfg job prints the composed configuration.
Completion in bash: eval "$(cnnlab -sc install=bash)"
In zsh, before it: autoload -Uz compinit bashcompinit && compinit && bashcompinit
"""

DISK_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST}
)
USER_MISTAKE, DIVERGED, BUG, NOT_DONE = 2, 3, 1, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0 done; 2 the user's mistake, told in one line on stderr (after its traceback where HYDRA_FULL_ERROR=1);
    3 diverged; 128 + N ended by signal N, 130 for Ctrl-C; 1 a sweep of which not all is done, or a bug, with its
    traceback.

    Args:
        arguments: the command line without the program; None takes `sys.argv`.
    """
    with outlive_readers(), end_on_sigterm():
        return _main(list(sys.argv[1:] if arguments is None else arguments))


def _main(arguments: list[str]) -> int:
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
    except UserError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            traceback.print_exc()
        code = _report(str(error), USER_MISTAKE)
    except Diverged as error:
        code = _report(str(error), DIVERGED)
    except Interrupted as error:
        code = _report(str(error), 128 + error.signal_number, "interrupted")
    except (WorkerLost, Unfinished) as error:
        code = _report(str(error), NOT_DONE)
    except Terminated:
        code = _report("SIGTERM", 128 + signal.SIGTERM, "interrupted")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            traceback.print_exc()
            code = BUG
        else:
            code = _report(f"{error.filename or 'output'}: {error.strerror}", USER_MISTAKE)
    except Exception as error:
        if type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's, which may not be imported yet
            code = _report(_out_of_memory(str(error)), USER_MISTAKE)
        else:
            traceback.print_exc()
            code = BUG
    return code


def _out_of_memory(message: str) -> str:
    tensor = re.search(r"allocating tensor with (shape\S+).* on (?:\S*/device:)?(\S+)", message)
    what = f"no room for a tensor of {tensor[1]} on {tensor[2]}" if tensor else message.splitlines()[0]
    return (
        f"out of memory: {what}; lower trainer.batch_size (of eval and predict: batch_size), or see what a batch "
        "needs: cnnlab inspect"
    )


def _report(message: str, code: int, kind: str = "error") -> int:
    print(f"{kind}: {' '.join(message.split())}", file=sys.stderr)
    return code


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help(), end="")
        return 0
    if arguments[0] == "--version":
        print(f"cnnlab {__version__}")
        return 0
    if arguments[0] in ("-sc", "--shell-completion"):
        from cnnlab.config.completion import complete

        return complete(arguments, COMMANDS)
    name, *rest = arguments
    command = COMMANDS.get(name)
    if command is None:
        raise UserError(f"{name}: no such command{did_you_mean(name, COMMANDS)}; commands: {', '.join(COMMANDS)}")
    if command.operand is not None:
        return _run_without_configuration(name, command, rest)
    if {"-h", "--help"} & {*rest}:
        from cnnlab.config.help import command_help

        print(command_help(name, command.summary, command.uses, rest), end="")
        return 0
    return _run(name, command.target, rest)


def _run_without_configuration(name: str, command: Command, arguments: list[str]) -> int:
    if {"-h", "--help"} & {*arguments}:
        print(f"cnnlab {name}: {command.summary}\nusage: cnnlab {name} {command.operand}")
    else:
        module, _, function = command.target.partition(":")
        getattr(import_module(module), function)(arguments)
    return 0


def _run(name: str, target: str, arguments: list[str]) -> int:
    from cnnlab.config.compose import launch
    from cnnlab.config.plugin_options import import_plugins_of

    def work(config: "DictConfig", directory: Path) -> None:
        with _loading(name, config, directory):
            function = _load(target)
            import_plugins_of(config)
        function(config, directory)

    try:
        launch(name, arguments, work, _train_job if name == "train" else None)
    except SystemExit as request:  # --help and other flags that only print
        return request.code if isinstance(request.code, int) else 0
    return 0


def _train_job(hydra: "HydraConf", config: "DictConfig", directory: Path) -> None:
    from cnnlab.sweeps.task import train_job

    train_job(hydra, config, directory)


@contextmanager
def _loading(name: str, config: "DictConfig", directory: Path) -> Iterator[None]:
    """Say that TensorFlow is being loaded, which takes seconds; of commands other than train in a terminal only."""
    from cnnlab.training.progress import phase, progress_kind, shown_path

    if name == "train":
        what = phase(f"loading TensorFlow, to train in {shown_path(directory)}", progress_kind(config.trainer.progress))
    else:
        kind = progress_kind("auto")
        what = phase("loading TensorFlow", kind if kind == "rich" else "none")
    with what:
        yield


def _load(target: str) -> "Callable[[DictConfig, Path], None]":
    """Import what a command needs, TensorFlow first, so that it is imported quietly."""
    from cnnlab.runtime.startup import import_tensorflow

    import_tensorflow()
    module, _, function = target.partition(":")
    return getattr(import_module(module), function)


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return HELP.format(commands="\n".join(lines))
