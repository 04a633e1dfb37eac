"""Shell completion of commands, and through Hydra of groups, options and keys."""

import os
import re
from collections.abc import Collection, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from io import StringIO

from cnnlab.config.arguments import quote_path
from cnnlab.config.compose import COMPOSES_TRAIN, launch
from cnnlab.config.plugin_options import project_arguments
from cnnlab.config.schema import GROUPS

ANY_COMMAND = "train"  # Hydra's shell script is the same for all of them


def complete(arguments: Sequence[str], commands: Collection[str]) -> int:
    """Answer `cnnlab -sc install=SHELL`, `uninstall=SHELL` and the shell's `query=SHELL`.

    The shell hands over the line typed so far in COMP_LINE. While the command itself is being typed, the
    matching commands are printed; after that the line goes to Hydra without the command.

    Args:
        arguments: the command line, `-sc` first.
        commands: the commands to complete.

    Returns:
        The exit code.
    """
    is_query = any(argument.startswith("query=") for argument in arguments)
    program, _, line = os.environ.get("COMP_LINE", "").lstrip().partition(" ")
    command, space, rest = line.lstrip().partition(" ")
    if is_query and not space:
        print(" ".join(name for name in commands if name.startswith(command)))
        return 0
    if not is_query:
        _launch(ANY_COMMAND, arguments)
    elif command in commands:
        *words, typing = rest.split(" ")
        runs = [word for word in words if word.startswith(("run=", "resume="))]
        with redirect_stderr(StringIO()), suppress(Exception):  # half a line is no mistake
            words = [*project_arguments(command in COMPOSES_TRAIN and not runs, words), *words]
            os.environ["COMP_LINE"] = " ".join([program, *map(quote_path, words), typing])
            with redirect_stdout(StringIO()) as printed:
                _launch(command, [*arguments, *runs])
            # Hydra offers a group that holds groups too, such as dataset/shared, as a path to those.
            print(re.sub(rf"(?<!\S)({'|'.join(GROUPS)})(?!\S)", r"\1=", printed.getvalue()), end="")
    return 0


def _launch(command: str, arguments: Sequence[str]) -> None:
    """Let Hydra print; there is no job to run."""
    with suppress(SystemExit):
        launch(command, arguments, task=lambda config, directory: None)
