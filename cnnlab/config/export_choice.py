"""Which files `export` writes and `eval` evaluates: formats, each with the precisions that it has."""

from cnnlab.config.extras import require_format_packages
from cnnlab.config.schema import PRECISIONS
from cnnlab.errors import UserError


def check_export(formats: str | list[str], precision: str) -> None:
    """Check that the formats have the precision, and that their packages are installed.

    Raises:
        UserError: one has it not, or a package is missing, or there are no formats.
    """
    if not formats:
        raise UserError(f"format=[]: give one or several of {', '.join(PRECISIONS)}")
    for format in [formats] if isinstance(formats, str) else formats:
        if precision not in PRECISIONS[format]:
            others = " or ".join(name for name in PRECISIONS if precision in PRECISIONS[name])
            raise UserError(
                f"precision={precision}: format={format} has {' and '.join(PRECISIONS[format])} alone; "
                f"use format={others}, or leave precision out"
            )
        require_format_packages(f"format={format}", format)


def check_backend(backend: str, run: str | None) -> None:
    """Check that a backend belongs to a run, and that its packages are installed.

    Raises:
        UserError: there is no run, or a package is missing.
    """
    if run is None:
        raise UserError(f"backend={backend}: an exported file is a run's; give run=RUN")
    require_format_packages(f"backend={backend}", backend.partition("/")[0])
