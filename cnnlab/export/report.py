"""What was exported, in the terminal."""

import sys
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cnnlab.reporting.exports import describe_exports


def print_reports(reports: Sequence[dict[str, Any]]) -> None:
    """Print a table on stderr, a row per export.

    Args:
        reports: of RUN/export/report.json.
    """
    heads, *rows = describe_exports(reports)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    Console(stderr=True, width=None if sys.stderr.isatty() else 140).print(table)
