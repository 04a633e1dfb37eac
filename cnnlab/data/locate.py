"""Where a dataset's files lie: under `dataset.root`, or else under $CNNLAB_DATA or ./data."""

import os
from collections.abc import Sequence
from pathlib import Path

from cnnlab.errors import UserError

SEARCHED = "$CNNLAB_DATA or ./data"


def existing_root(root: str) -> Path:
    """`dataset.root` as an absolute path, `~` expanded.

    Raises:
        UserError: nothing is there.
    """
    path = Path(root).expanduser().absolute()
    if not path.exists():
        raise UserError(f"dataset.root={root}: no such file or folder")
    return path


def find_published(root: str | None, names: Sequence[str], marker: str) -> Path | None:
    """Find a dataset by the published name of its folder or archive.

    Args:
        root: the folder that holds one of `names`, or is itself the published folder, recognised by
            `marker`; None looks for `names` in $CNNLAB_DATA, then in ./data.
        names: folder and archive names, best first.
        marker: a glob pattern that some file of the published folder matches.

    Returns:
        The folder or archive; None where `root` is None and nothing was found.

    Raises:
        UserError: `root` is given and holds none of `names` and no `marker`.
    """
    if root is None:
        bases = [Path(base).absolute() for base in (os.environ.get("CNNLAB_DATA"), "data") if base]
    else:
        bases = [existing_root(root)]
    for base in bases:
        for name in names:
            if (base / name).exists():
                return base / name
    if root is None:
        return None
    if any(bases[0].glob(marker)):
        return bases[0]
    raise UserError(f"dataset.root={root}: found neither {' nor '.join(names)} nor {marker} there")
