"""The ways a command can end other than well, each tied to one exit code of the CLI, and what others' errors say."""

from collections.abc import Sequence


class UserError(Exception):
    """A mistake of the user's (exit code 2).

    The message is one line that names the key or file, the value and a hint; the CLI prints it as
    ``error: …`` without a traceback.
    """

    ag_pass_through = True
    """Raised while TensorFlow traces a function, it leaves that as it is, without AutoGraph's account of the place."""


class WrongType(UserError):
    """A value of a configuration that is of another type than its key takes.

    Attributes:
        key: its full key.
    """

    def __init__(self, key: str, message: str):
        super().__init__(message)
        self.key = key


class UnknownKey(UserError):
    """A key of a configuration that nothing takes.

    Attributes:
        key: its full name.
        known: the names that could stand in the place of its last part.
    """

    def __init__(self, key: str, known: Sequence[str], message: str):
        super().__init__(message)
        self.key = key
        self.known = known


class Unreadable(UserError):
    """Images that were whole when the training began cannot be read any more, as on a drive that is gone."""


class Diverged(Exception):
    """The loss or a weight became NaN or infinite (exit code 3).

    Attributes:
        learnt: whether a step had changed the weights before; else no learning rate is to blame.
    """

    def __init__(self, message: str, *, learnt: bool = True):
        super().__init__(message)
        self.learnt = learnt


class Interrupted(Exception):
    """A stop signal was received and the state saved (exit code 128 + signal number)."""

    def __init__(self, signal_number: int, message: str):
        super().__init__(message)
        self.signal_number = signal_number


class Unfinished(Exception):
    """A sweep has ended, but not all of its jobs are done (exit code 1, without a traceback)."""


class WorkerLost(Exception):
    """Another process of a training on several hosts is gone (exit code 1, without a traceback)."""


def one_line(error: BaseException) -> str:
    """What an exception says in one line, without Keras's list of a layer's arguments; its type if it says nothing."""
    message = str(error).partition("Arguments received by")[0]
    return " ".join(message.split()) or type(error).__name__
