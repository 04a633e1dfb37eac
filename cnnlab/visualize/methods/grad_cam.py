"""`method=grad_cam`: where a layer sees evidence for a class."""

from functools import partial
from pathlib import Path
from typing import Annotated

import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.ranges import SEED
from cnnlab.visualize.attribution.gradients import grad_cam
from cnnlab.visualize.attribution.maps import Images, Target, attribute, choose_targets, report
from cnnlab.visualize.images import SplitName
from cnnlab.visualize.layers import spatial_layer


def draw_grad_cam(
    config: DictConfig,
    folder: Path,
    *,
    images: Images = 4,
    split: SplitName = "auto",
    target: Target = None,
    layer: str | None = None,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Draw the class activation map of a layer, enlarged to the images' size.

    Writes grad_cam.png and grad_cam.npz: `coarse` float32 (n, h, w), as the layer has it, `maps` (n, H, W), and
    `images`, `classes`, `probabilities` and, where known, `labels`.

    Args:
        config, images, split, target, seed: see `choose_targets`.
        folder: where to write.
        layer: its name; None for that of the last feature maps, see `spatial_layer`.

    Raises:
        UserError: there is no such image, class or layer, or the layer returns no feature maps.
    """
    targets = choose_targets(config, images, split, target, seed)
    network = targets.subject.network
    name = spatial_layer(network, layer)
    coarse = attribute(targets, partial(grad_cam, network, layer=name), f"gradients of {name}")
    maps = tf.image.resize(coarse[..., tf.newaxis], targets.subject.image_shape[:2], method="bilinear")[..., 0].numpy()
    height, width = coarse.shape[1:]
    notes = [f"{name}, {height}×{width}"] * len(maps)
    report(targets, folder, "grad_cam", maps, "weighted activation", notes=notes, coarse=coarse)
