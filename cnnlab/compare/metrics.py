"""What runs are compared by, and how its values are written."""

MEASURED = ("accuracy", "loss", "val_accuracy", "val_loss")
METRICS = tuple(f"{kind}_{name}" for name in MEASURED for kind in ("best", "final", "mean"))
"""The best and the last epoch, and the mean of all epochs, which says how fast it went."""


def format_metric(value: float, metric: str) -> str:
    """A value, or its standard deviation: accuracies in percent, losses in nats."""
    return f"{value:.2%}" if metric.endswith("accuracy") else f"{value:.4f}"


def format_difference(mean: float, metric: str, interval: tuple[float, float] | None = None) -> str:
    """A difference of values, perhaps with its interval: of accuracies in percentage points."""
    share = metric.endswith("accuracy")
    shown, *ends = (f"{100 * value:+.2f}" if share else f"{value:+.4f}" for value in (mean, *(interval or ())))
    return shown + (f" [{', '.join(ends)}]" if ends else "") + (" points" if share else "")
