"""`method=saliency`: which pixels the score of a class depends on."""

from functools import partial
from pathlib import Path
from typing import Annotated

from omegaconf import DictConfig

from cnnlab.config.ranges import SEED
from cnnlab.visualize.attribution.gradients import class_gradients
from cnnlab.visualize.attribution.maps import Images, Target, attribute, choose_targets, report, strongest
from cnnlab.visualize.images import SplitName


def draw_saliency(
    config: DictConfig,
    folder: Path,
    *,
    images: Images = 4,
    split: SplitName = "auto",
    target: Target = None,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Draw the absolute gradient of a class score towards the pixels, the largest over the channels.

    Writes saliency.png and saliency.npz: `gradients` float32 (n, H, W, C), `maps` (n, H, W), and `images`, `classes`,
    `probabilities` and, where known, `labels`.

    Args:
        config, images, split, target, seed: see `choose_targets`.
        folder: where to write.

    Raises:
        UserError: there is no such image or class.
    """
    targets = choose_targets(config, images, split, target, seed)
    gradients = attribute(targets, partial(class_gradients, targets.subject.network), "gradients")
    report(targets, folder, "saliency", strongest(gradients), "|logit / grey level|", gradients=gradients)
