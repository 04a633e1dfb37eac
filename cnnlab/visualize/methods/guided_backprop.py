"""`method=guided_backprop`: the gradient of a class score, passed back only where it is positive."""

import logging
from functools import partial
from pathlib import Path
from typing import Annotated

from omegaconf import DictConfig

from cnnlab.config.ranges import SEED
from cnnlab.visualize.attribution.guided import guided_backprop, require_relu
from cnnlab.visualize.attribution.maps import Images, Target, attribute, choose_targets, report, summed
from cnnlab.visualize.images import SplitName

log = logging.getLogger(__name__)


def draw_guided_backprop(
    config: DictConfig,
    folder: Path,
    *,
    images: Images = 4,
    split: SplitName = "auto",
    target: Target = None,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Draw the guided gradient of a class score towards the pixels, summed over the channels.

    Writes guided_backprop.png and guided_backprop.npz: `gradients` float32 (n, H, W, C), `maps` (n, H, W), and
    `images`, `classes`, `probabilities` and, where known, `labels`.

    Args:
        config, images, split, target, seed: see `choose_targets`.
        folder: where to write.

    Raises:
        UserError: there is no such image or class, or the network has no ReLU.
    """
    targets = choose_targets(config, images, split, target, seed)
    network = targets.subject.network
    others = require_relu(network)
    if others:
        log.warning("guided_backprop: %s keep their gradient, as they are no ReLU", ", ".join(others))
    gradients = attribute(targets, partial(guided_backprop, network), "guided gradients")
    unit = "guided logit / grey level"
    report(targets, folder, "guided_backprop", summed(gradients), unit, signed=True, gradients=gradients)
