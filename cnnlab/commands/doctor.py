"""`cnnlab doctor`: what this machine offers and what cnnlab makes of it."""

import json
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from cnnlab.plugins.active import active_plugins
from cnnlab.runtime.examine import examine

WIDTH = 120  # columns of the table where the output is no terminal


def doctor(config: DictConfig, directory: Path) -> None:
    """Print the report as a table or as JSON (`format`); nothing is written to `directory`."""
    report = examine() | {"plugins": {plugin.name: plugin.version for plugin in active_plugins()}}
    if config.format == "json":
        print(json.dumps(report, indent=2))
    else:
        _print_table(report)


def _print_table(report: dict[str, dict[str, Any]]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    table.add_column(overflow="fold")
    for section, values in report.items():
        for index, (name, value) in enumerate((values or {"none": None}).items()):
            title = "" if index else section.replace("_", " ")
            table.add_row(title, name.replace("_gib", " GiB").replace("_", " "), _text(value))
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)


def _text(value: Any) -> str:
    match value:
        case None | []:
            return "–"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(_text, value))
        case dict():
            return " ".join(_text(item) for item in value.values() if item is not None)
    return str(value)
