"""`method=smoothgrad`: the gradient of a class score, averaged over noisy copies of the image."""

from functools import partial
from pathlib import Path
from typing import Annotated

from omegaconf import DictConfig

from cnnlab.config.ranges import AT_LEAST_0, AT_LEAST_1, SEED
from cnnlab.visualize.attribution.gradients import smoothgrad
from cnnlab.visualize.attribution.maps import Images, Target, attribute, choose_targets, report, strongest
from cnnlab.visualize.images import SplitName


def draw_smoothgrad(
    config: DictConfig,
    folder: Path,
    *,
    images: Images = 4,
    split: SplitName = "auto",
    target: Target = None,
    noise: Annotated[float, AT_LEAST_0] = 0.15,
    samples: Annotated[int, AT_LEAST_1] = 50,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Draw the absolute mean gradient over noisy copies, the largest over the channels.

    Writes smoothgrad.png and smoothgrad.npz: `gradients` float32 (n, H, W, C), `maps` (n, H, W), and `images`,
    `classes`, `probabilities` and, where known, `labels`.

    Args:
        config, images, split, target: see `choose_targets`.
        folder: where to write.
        noise, samples: see `smoothgrad`.
        seed: of the images drawn and of the noise.

    Raises:
        UserError: there is no such image or class.
    """
    targets = choose_targets(config, images, split, target, seed)
    compute = partial(smoothgrad, targets.subject.network, noise=noise, samples=samples, seed=seed)
    gradients = attribute(targets, compute, "gradients of noisy copies")
    report(targets, folder, "smoothgrad", strongest(gradients), "|logit / grey level|", gradients=gradients)
