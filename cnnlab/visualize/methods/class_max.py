"""`method=class_max`: the patterns that a network takes for its classes."""

from pathlib import Path
from typing import Annotated

import keras
import numpy as np
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.ranges import SEED, not_empty
from cnnlab.visualize.attribution.maps import in_batches
from cnnlab.visualize.attribution.scores import class_probabilities, class_scores
from cnnlab.visualize.drawing.grid import Row, draw_grid
from cnnlab.visualize.feature_visualization.ascent import Ascent, Score, ascend, patterns_per_chunk, starting_noise
from cnnlab.visualize.images import choose_class
from cnnlab.visualize.subject import load_subject

COLUMNS = 6
MOST = 60
"""Classes that are drawn where nobody says which."""


def draw_class_max(
    config: DictConfig,
    folder: Path,
    *,
    ascent: Ascent,
    classes: Annotated[list[str | int], not_empty] | None = None,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Draw what maximises the logit of each class, with the probability that the network then gives the class.

    After Simonyan, Vedaldi & Zisserman, "Deep inside convolutional networks" (2013), section 2: the logit, because
    the softmax is also maximised by making other classes less likely. Writes class_max.png and class_max.npz:
    `patterns` float32 (n, H, W, C) from 0 to 255, `classes`, and `probabilities` (n, K).

    Args:
        config: `run`, or `weights` with `model` and `dataset`.
        folder: where to write.
        ascent: how patterns ascend.
        classes: names or indices; None for all, or the first 60.
        seed: of the patterns' noise and the jitter.

    Raises:
        UserError: there is no such class.
    """
    subject = load_subject(config)
    names = subject.class_names
    everything = range(min(MOST, len(names)))
    chosen = [choose_class(subject, each, "method.classes") for each in (classes or everything)]
    patterns = maximise_classes(subject.network, chosen, ascent, seed)
    logits = in_batches(subject.network, subject.image_shape, what="predicting")(patterns)
    probabilities = class_probabilities(tf.constant(logits)).numpy()

    pixels = patterns.round().astype(np.uint8)
    labels = [f"{names[label]}\n{row[label]:.2%}" for label, row in zip(chosen, probabilities, strict=True)]
    starts = range(0, len(chosen), COLUMNS)
    rows = [Row("", pixels[start : start + COLUMNS], labels[start : start + COLUMNS]) for start in starts]
    title = f"{subject.title} · what is taken for {len(chosen)} of {len(names)} classes, and how surely"
    draw_grid(rows, folder / "class_max.png", title, subject.metadata(title, seed))
    arrays = {"patterns": patterns, "classes": np.array(chosen), "probabilities": probabilities}
    np.savez_compressed(folder / "class_max.npz", **arrays)


def maximise_classes(network: keras.Model, classes: list[int], ascent: Ascent, seed: int) -> np.ndarray:
    """Find the images that maximise the logits of classes.

    Args:
        network: from pixels to logits; of a sigmoid head, the first class wants the logit low.
        classes: indices.
        ascent: how.
        seed: of the noise and the jitter.

    Returns:
        Float32 (n, H, W, C), 0 to 255.
    """
    noise = starting_noise(seed, "classes", classes, network.input_shape[1:])
    chunk = patterns_per_chunk(network, ascent)
    return ascend(_score(network), classes, noise, ascent, seed=seed, chunk=chunk, what="classes: ascending")


def _score(network: keras.Model) -> Score:
    return lambda images, classes: class_scores(network(images), classes)
