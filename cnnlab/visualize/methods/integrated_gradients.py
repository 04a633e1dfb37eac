"""`method=integrated_gradients`: how the score of a class builds up from an image without content."""

import logging
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.ranges import AT_LEAST_1, SEED
from cnnlab.data.sample import sample
from cnnlab.visualize.attribution.gradients import integrated_gradients, score_differences
from cnnlab.visualize.attribution.maps import Images, Target, attribute, choose_targets, report, summed
from cnnlab.visualize.images import SplitName, choose_split
from cnnlab.visualize.subject import Subject

Baseline = Literal["black", "grey", "white", "mean"]

GREY_LEVELS = {"black": 0.0, "grey": 127.5, "white": 255.0}
MEAN_OF = 1000
"""Training images that the mean image is made of."""

TOLERANCE = 0.05
"""Share of the score difference that may be missing from the sum before a warning."""

log = logging.getLogger(__name__)


def draw_integrated_gradients(
    config: DictConfig,
    folder: Path,
    *,
    images: Images = 4,
    split: SplitName = "auto",
    target: Target = None,
    baseline: Baseline = "black",
    steps: Annotated[int, AT_LEAST_1] = 100,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Draw the share of each pixel in the score's difference to that of a baseline, summed over the channels.

    Under each map stand the sum of all pixels and the difference it should equal. Writes integrated_gradients.png
    and integrated_gradients.npz: `attributions` float32 (n, H, W, C), `maps` (n, H, W), `baseline` (H, W, C),
    `sums` and `differences` (n,), and `images`, `classes`, `probabilities` and, where known, `labels`.

    Args:
        config, images, split, target: see `choose_targets`.
        folder: where to write.
        baseline: an image of one colour, or the mean of training images.
        steps: points of the integral.
        seed: of the images drawn, also for the mean.

    Raises:
        UserError: there is no such image or class, or the training images cannot be read.
    """
    targets = choose_targets(config, images, split, target, seed)
    network = targets.subject.network
    start = _baseline(targets.subject, baseline, seed)

    def integrate(pixels: tf.Tensor, classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        whole = score_differences(network, pixels, classes, baseline=start)
        return integrated_gradients(network, pixels, classes, baseline=start, steps=steps), whole

    attributions, differences = attribute(targets, integrate, "gradients on the way")
    sums = attributions.sum(axis=(1, 2, 3))
    _check_completeness(sums, differences, steps)
    report(
        targets,
        folder,
        "integrated_gradients",
        summed(attributions),
        "logit",
        signed=True,
        notes=[f"sum {total:.3g} of {whole:.3g}" for total, whole in zip(sums, differences, strict=True)],
        attributions=attributions,
        baseline=start,
        sums=sums,
        differences=differences,
    )


def _baseline(subject: Subject, kind: Baseline, seed: int) -> np.ndarray:
    if kind in GREY_LEVELS:
        return np.full(subject.image_shape, GREY_LEVELS[kind], np.float32)
    images = sample(choose_split(subject, "train"), MEAN_OF, seed).images
    return images.mean(axis=0, dtype=np.float64).astype(np.float32)


def _check_completeness(sums: np.ndarray, differences: np.ndarray, steps: int) -> None:
    missing = np.abs(sums - differences) / np.maximum(np.abs(differences), 1e-6)
    log.info("completeness: the sums differ from the score differences by at most %.2g %%", 100 * missing.max())
    if missing.max() > TOLERANCE:
        log.warning(
            "method.steps=%d: the attributions of %d images miss more than %.0f %% of the score difference; use more, "
            "or, where that does not help, another method.baseline",
            steps,
            (missing > TOLERANCE).sum(),
            100 * TOLERANCE,
        )
