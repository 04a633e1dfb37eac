"""Python's values as the command line has them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.config.arguments import quoted


def as_arguments(options: Mapping[str, Any]) -> list[str]:
    """The arguments key=value that say what `options` do; NumPy's arrays are lists."""
    return [f"{key}={_written(value)}" for key, value in options.items()]


def _written(value: Any) -> str:
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case str() | Path():
            return quoted(str(value))
        case Mapping():
            return f"{{{','.join(f'{name}:{_written(item)}' for name, item in value.items())}}}"
        case np.ndarray():
            return _written(value.tolist())
        case Sequence():
            return f"[{','.join(map(_written, value))}]"
    return str(value)
