"""`method=smoothgrad`: the gradient of a class score, averaged over noisy copies of the image."""

from functools import partial
from pathlib import Path
from typing import Annotated

import keras
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.ranges import AT_LEAST_0, AT_LEAST_1
from cnnlab.visualize.attribution.gradients import mean_gradients
from cnnlab.visualize.attribution.maps import Images, Target, ask, attribute, report, strongest
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
    seed: Annotated[int, AT_LEAST_0] = 0,
) -> None:
    """Draw the absolute mean gradient over noisy copies, the largest over the channels.

    Writes smoothgrad.png and smoothgrad.npz: `gradients` float32 (n, H, W, C), `maps` (n, H, W), and `images`,
    `classes`, `probabilities` and, where known, `labels`.

    Args:
        config: `run`, or `weights` with `model` and `dataset`.
        folder: where to write.
        images, split: see `choose_images`.
        target: a class; None for the predicted one, "label" for the image's own.
        noise, samples: see `smoothgrad`.
        seed: of the images drawn and of the noise.

    Raises:
        UserError: there is no such image or class.
    """
    question = ask(config, images, split, target, seed)
    compute = partial(smoothgrad, question.subject.network, noise=noise, samples=samples, seed=seed)
    gradients = attribute(question, compute, "gradients of noisy copies")
    report(question, folder, "smoothgrad", strongest(gradients), "|logit / grey level|", gradients=gradients)


def smoothgrad(
    network: keras.Model,
    images: tf.Tensor,
    classes: tf.Tensor,
    *,
    noise: float = 0.15,
    samples: int = 50,
    seed: int = 0,
) -> tf.Tensor:
    """The mean gradient of the class score over noisy copies of an image, after Smilkov et al., "SmoothGrad:
    removing noise by adding noise" (2017), section 3.

    Args:
        network: from pixels to logits.
        images: float32 (n, H, W, C), 0 to 255.
        classes: int32 (n,).
        noise: standard deviation of the normal noise, as a share of the range of each image's values.
        samples: noisy copies of each image.
        seed: of the noise.

    Returns:
        Float32 (n, H, W, C), in logits per grey level, signed.
    """
    ranges = tf.reduce_max(images, axis=(1, 2, 3)) - tf.reduce_min(images, axis=(1, 2, 3))

    def add_noise(copies: tf.Tensor, which: tf.Tensor, sample: tf.Tensor) -> tf.Tensor:
        normal = tf.random.stateless_normal(tf.shape(copies), tf.stack([seed, which[0] * samples + sample[0]]))
        return copies + noise * tf.gather(ranges, which)[:, tf.newaxis, tf.newaxis, tf.newaxis] * normal

    return mean_gradients(network, images, classes, add_noise, samples)
