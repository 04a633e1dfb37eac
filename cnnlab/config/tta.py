"""Test-time augmentation: which views of an image are averaged, as `tta` names them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cnnlab.config.crops import require_larger
from cnnlab.config.types import shown
from cnnlab.errors import UserError

ViewName = Literal["none", "flip", "flip_shift", "five_crop", "ten_crop", "googlenet_144"]
TestTimeAugmentation = ViewName | list[ViewName]
"""One name, or those of crops and of what is done to each of them: [five_crop,flip_shift]."""

Crops = Literal["one", "five", "many"]
Flips = Literal["none", "flip", "flip_shift"]

CROPS: dict[str, Crops] = {"five_crop": "five", "ten_crop": "five", "googlenet_144": "many"}
FLIPS: dict[str, Flips] = {"flip": "flip", "flip_shift": "flip_shift"}
MIRRORED = ("ten_crop", "googlenet_144")


@dataclass(frozen=True)
class Views:
    """What is averaged, by the probabilities.

    Attributes:
        name: as it was asked for, in one word.
        crops: which parts of an image: one, the image as it is shown; five, the corners and the middle of the stored
            square; or many, those of GoogLeNet.
        flips: what is done to each of them, see `cnnlab.evaluation.predictions`.
    """

    name: str
    crops: Crops
    flips: Flips


def parse_views(tta: str | Sequence[str]) -> Views:
    """The views that `tta` stands for.

    Raises:
        UserError: its names do not go together.
    """
    names = [tta] if isinstance(tta, str) else [*tta]
    crops, flips = ([name for name in names if name in group] for group in (CROPS, FLIPS))
    if names != ["none"] and (len(crops) > 1 or len(flips) > 1 or not 0 < len(names) == len(crops) + len(flips)):
        raise UserError(
            f"tta={shown(names)}: give none, or one of {', '.join(CROPS)}, or one of {', '.join(FLIPS)}, or one of each"
        )
    mirrored: Flips = "flip" if crops and crops[0] in MIRRORED else "none"
    return Views("-".join(names), CROPS[crops[0]] if crops else "one", FLIPS[flips[0]] if flips else mirrored)


def require_croppable(views: Views, resize: str | None, resize_size: int | None, longer: int) -> None:
    """Check that there is something to cut views out of.

    Args:
        resize: how image files are brought to their shape; None for arrays.
        resize_size: see `ImageFiles`.
        longer: the longer side of the images, for the message.

    Raises:
        UserError: there is not.
    """
    if views.crops == "five":
        require_larger(f"tta={views.name}", resize_size, longer)
    if views.crops == "many" and resize != "crop":
        found = "of this dataset are arrays" if resize is None else f"are shown by dataset.resize={resize}"
        raise UserError(
            f"tta={views.name}: cuts squares out of image files that dataset.resize=crop shows, and those {found}; "
            "use five_crop or ten_crop, which take the stored square (dataset.resize_size)"
        )
