"""What a learning-rate schedule that follows the validation offers."""

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class HistorySchedule(Protocol):
    """A learning-rate schedule that also follows the validation, such as plateau."""

    def update(self, history: list[dict[str, Any]]) -> None:
        """Take the rows of metrics.csv so far into account, after each epoch and when a training is resumed.

        What follows from them must follow from them alone: nothing else of the schedule is saved.
        """
