"""An exported file beside Keras: are the probabilities the same, and how long do they take."""

import time
from collections.abc import Iterator
from statistics import median

import numpy as np

from cnnlab.errors import UserError
from cnnlab.export.files import Function

BATCH = 32
CALLS, SECONDS = 31, 10.0
"""Of a measurement of time: so many calls of each, or as many as begin in so many seconds, but at least five."""

TOLERANCES = {"float32": 1e-4, "float16": 0.02, "int8": 0.05}
"""Of the difference in probabilities between an exported file and Keras in float32.

float32: of the largest: rounding, summed in another order; networks as they start stay below 1e-5, a ResNet-50 after
a few steps does not. float16: of the largest: it rounds to 1/2048, which on
logits of about 20 becomes some hundredths, and a quarter of that at most on probabilities. int8: of the mean over the
images of each image's largest: 1/256 of a layer's range is enough to tip an image that lies between two classes, so
single ones may differ by any amount, but not many.
"""


def compare(exported: Function, keras: Function, images: np.ndarray) -> dict[str, float]:
    """Compare probabilities, in batches and of one image alone.

    Args:
        exported: the function in the file.
        keras: the same in Keras, in float32.
        images: uint8 (n, H, W, C).

    Returns:
        largest_difference and mean_difference, over the images, of each one's largest difference of probabilities;
        equal_predictions: the share of images that both take for the same class.
    """
    starts = range(0, len(images), BATCH)
    ours, theirs = (
        np.concatenate([function(images[start : start + BATCH]) for start in starts] + [function(images[:1])])
        for function in (exported, keras)
    )
    if ours.shape != theirs.shape:
        raise UserError(f"the exported file returns {list(ours.shape)} values, Keras {list(theirs.shape)}")
    differences = np.abs(ours.astype(np.float64) - theirs).max(axis=1)
    return {
        "largest_difference": float(differences.max()),
        "mean_difference": float(differences.mean()),
        "equal_predictions": float((_classes(ours) == _classes(theirs))[:-1].mean()),
    }


def require_tolerance(figures: dict[str, float], precision: str, tolerance: float, name: str) -> None:
    """Check that the probabilities agree.

    Args:
        figures: what `compare` returned.
        precision: float32, float16 or int8.
        tolerance: see `TOLERANCES`.
        name: of the export, which begins the message.

    Raises:
        UserError: they differ by more, or are not finite.
    """
    kind = "mean" if precision == "int8" else "largest"
    found = figures[f"{kind}_difference"]
    if not found <= tolerance:  # which NaN is not either
        raise UserError(
            f"{name}: its probabilities differ from Keras's by {found:.2g} ({kind} over the images, tolerance "
            f"{tolerance:g}; {figures['equal_predictions']:.1%} of the predictions are equal), so it is not kept; "
            "tolerance=… allows more"
        )


def milliseconds(functions: dict[str, Function], images: np.ndarray, batch: int) -> dict[str, float]:
    """The median time of a call of each function with a batch; the calls alternate, so that what slows one slows all.

    Args:
        functions: by name.
        images: uint8 (n, H, W, C), repeated where they are fewer than the batch.
        batch: images per call.
    """
    given = np.resize(images, (batch, *images.shape[1:]))
    for function in functions.values():
        function(given)
    rounds = [{name: _seconds(function, given) for name, function in functions.items()} for _ in _rounds()]
    return {name: 1000 * median(each[name] for each in rounds) for name in functions}


def _rounds() -> Iterator[int]:
    began = time.perf_counter()
    for number in range(CALLS):
        if number >= 5 and time.perf_counter() - began > SECONDS:
            return
        yield number


def _seconds(function: Function, images: np.ndarray) -> float:
    began = time.perf_counter()
    function(images)
    return time.perf_counter() - began


def _classes(probabilities: np.ndarray) -> np.ndarray:
    return probabilities[:, 0] > 0.5 if probabilities.shape[1] == 1 else probabilities.argmax(axis=1)
