"""What a chapter of the course consists of, before it becomes a page."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Chapter:
    """A chapter; its words are in the file NAME.html, with a `$placeholder` for every figure and value.

    Attributes:
        name: of the file and of the link to it.
        title: its heading.
        figures: by name.
        values: what was computed, as HTML.
        arrays: what the figures show.
    """

    name: str
    title: str
    figures: Mapping[str, Figure]
    values: Mapping[str, str] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
