"""Figures as objects that a notebook shows."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Picture:
    """A PNG.

    Attributes:
        name: what it shows.
        png: the content of the file.
    """

    name: str
    png: bytes

    def _repr_png_(self) -> bytes:
        return self.png

    def __repr__(self) -> str:
        return f"<{self.name}, PNG of {len(self.png):,} bytes>"

    @property
    def address(self) -> str:
        """The picture itself as the address of an HTML image."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode('ascii')}"


@dataclass(frozen=True, eq=False)  # arrays have no one answer
class Explanation(Mapping[str, Any]):
    """What a method of `cnnlab visualize` has found: arrays by name, and its figures.

    Attributes:
        method: its name.
        arrays: as in the method's .npz files, such as `maps` (n, H, W), `images`, `classes`, `probabilities`.
        pictures: its figures; a notebook shows the first.
    """

    method: str
    arrays: dict[str, Any]
    pictures: tuple[Picture, ...]

    def __getitem__(self, name: str) -> Any:
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def _repr_png_(self) -> bytes | None:
        return self.pictures[0].png if self.pictures else None

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {getattr(array, 'shape', '')}" for name, array in self.arrays.items())
        return f"<{self.method}: {shapes}>"
