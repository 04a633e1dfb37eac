"""What augmentation by crops asks of the rest of a configuration."""

from collections.abc import Sequence

from cnnlab.config.types import shown
from cnnlab.errors import UserError


def require_crops_first(operations: Sequence[str], crops: Sequence[str]) -> None:
    """Check the order of an augmentation's operations, some of which cut out images.

    Raises:
        UserError: two of them do, or one that is not the first.
    """
    if len(crops) > 1:
        raise UserError(f"augmentation: {crops[0]} and {crops[1]} both cut out the images; keep one of them")
    if crops and crops[0] != operations[0]:
        order = [*crops, *(name for name in operations if name not in crops)]
        raise UserError(
            f"augmentation: {crops[0]} cuts out the images and comes first; use augmentation={shown(order)}"
        )


def require_streamed(name: str, data: str) -> None:
    """Check `trainer.data`, where the operation `name` reads image files anew in each step.

    Raises:
        UserError: they are to be cached.
    """
    if data == "cached":
        raise UserError(
            f"trainer.data=cached: {name} reads other windows of the image files in each step; use trainer.data=auto, "
            "which streams them, or augmentation=random_crop, which cuts cached images"
        )


def require_larger(name: str, resize_size: int | None, longer: int) -> None:
    """Check that there is something to cut off stored images whose longer side is shown at `longer` pixels.

    Raises:
        UserError: there is not.
    """
    if (resize_size or 0) <= longer:
        raise UserError(
            f"dataset.resize_size={shown(resize_size)}: {name} cuts {longer} pixels out of larger stored images; "
            f"give dataset.resize_size={round(longer * 8 / 7)} or so, as AlexNet's 256 for 224"
        )
