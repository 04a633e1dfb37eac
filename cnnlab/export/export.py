"""Writing one file: to a temporary name, checked by its own runtime, then renamed."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from cnnlab.errors import UserError, one_line
from cnnlab.export.check import TOLERANCES, compare, milliseconds, require_tolerance
from cnnlab.export.files import Function, add_report, exported_path, read_reports, size, writer
from cnnlab.export.prepared import OUTPUT, Prepared
from cnnlab.runs.files import digest, replace_folder, write_atomically
from cnnlab.runs.run import Run
from cnnlab.runtime.devices import thread_count
from cnnlab.runtime.quiet import quiet

log = logging.getLogger(__name__)


def export_format(
    run: Run, prepared: Prepared, format: str, precision: str, tolerance: float | None = None
) -> dict[str, Any]:
    """Export to RUN/export/FORMAT/, compare with Keras, and put what was found into RUN/export/report.json.

    Args:
        run: whose best model it is.
        prepared: that model.
        format: saved_model, onnx or litert.
        precision: that the format has.
        tolerance: see `check.TOLERANCES`; None takes that of the precision.

    Returns:
        What report.json says of the export.

    Raises:
        UserError: the format lacks an operation, or the probabilities differ by more than the tolerance; what was
            exported before stays.
        OSError: the disk is full or read-only.
    """
    path, module, name = exported_path(run, format, precision), writer(format), f"{format}/{precision}"
    limit = TOLERANCES[precision] if tolerance is None else tolerance
    threads = thread_count()
    log.info("exporting %s", name)
    with _replacing(path) as temporary:
        with quiet():
            module.write(prepared, precision, temporary)
            exported = _load(module, temporary, threads, prepared, name)
            keras = lambda batch: prepared.serve(batch)[OUTPUT].numpy()  # noqa: E731 - the same kind as `exported`
            figures = compare(exported, keras, prepared.images)
        require_tolerance(figures, precision, limit, name)
        functions = {"exported": exported, "keras": keras}
        times = {str(batch): milliseconds(functions, prepared.images, batch) for batch in (1, 32)}
        found, model_sha256 = digest(temporary), prepared.model_sha256
        before = read_reports(run).get(name, {})
        is_same = before.get("model_sha256") == model_sha256 and path.exists() and digest(path) == before["sha256"]
        if path.exists() and not is_same:
            log.warning("%s: takes the place of an export of another model, or of a file that was changed", path)
    report = {
        "format": format,
        "precision": precision,
        "file": str(path.relative_to(run.path)),
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        "bytes": size(path),
        "sha256": found,
        "model_sha256": model_sha256,
        "input_shape": list(prepared.model.input_shape[1:]),
        "outputs": prepared.model.output_shape[-1],
        "images": len(prepared.images),
        "split": prepared.split,
        **figures,
        "tolerance": limit,
        "milliseconds": times,
        "threads": threads,
    }
    add_report(run, report)
    return report


def _load(module: ModuleType, path: Path, threads: int, prepared: Prepared, name: str) -> Function:
    """The function in a file, once it has computed batches of two sizes: some faults show then alone."""
    try:
        exported: Function = module.load(path, threads)
        for count in (1, 2):
            exported(prepared.images[:count])
    except Exception as error:
        reason = one_line(error)[:200]
        raise UserError(f"{name}: the file does not run, so it is not kept; its runtime says: {reason}") from error
    return exported


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary path, a folder or a file as `path` is one; see `cnnlab.runs.files`."""
    with write_atomically(path) if path.suffix else replace_folder(path) as temporary:
        yield temporary
