"""`cnnlab export`: prepare → write and check each format → report."""

from pathlib import Path
from typing import Any

import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.export.export import export_format
from cnnlab.export.prepared import prepare
from cnnlab.export.report import print_reports
from cnnlab.reporting.run_page import write_report
from cnnlab.runs.run import Run
from cnnlab.runtime.devices import configure_runtime, hide_gpus


def export(config: DictConfig, directory: Path) -> None:
    """Export as `export_run` does; print what was found on stderr and the paths of the files on stdout."""
    hide_gpus()  # not in `export_run`: a notebook trains on
    reports = export_run(config)
    print_reports(reports)
    for report in reports:
        print(directory / report["file"])


def export_run(config: DictConfig) -> list[dict[str, Any]]:
    """Write a run's best model in other formats, to RUN/export/FORMAT/, and what it is there into the run's report.

    Each file is compared with Keras by its own runtime, both on the processor, before it gets its name.

    Args:
        config: the resolved and validated configuration (conf/export.yaml).

    Returns:
        Of each format what RUN/export/report.json says of it.

    Raises:
        UserError: the run has no best model, its data are not there, a format lacks an operation, or a file's
            probabilities differ from Keras's by more than the tolerance; formats before that one are there.
    """
    configure_runtime(config.trainer)
    run = Run.open(config.run)
    formats = [config.format] if isinstance(config.format, str) else list(dict.fromkeys(config.format))
    reports = []
    try:
        with tf.device("CPU:0"):
            prepared = prepare(run, config)
            for format in formats:
                reports.append(export_format(run, prepared, format, config.precision, config.tolerance))
    finally:
        if reports:
            write_report(run)
    return reports
