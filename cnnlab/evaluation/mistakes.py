"""A gallery of the images a model got wrong while most sure of itself."""

from pathlib import Path

import numpy as np

from cnnlab.data.dataset import Split
from cnnlab.evaluation.gallery import draw_gallery, pick


def draw_mistakes(
    split: Split,
    probabilities: np.ndarray,
    class_names: tuple[str, ...],
    path: Path,
    title: str,
    limit: int = 24,
) -> None:
    """Draw the most confident mistakes, the worst first, with what was predicted and what is true.

    Args:
        split: the N judged images; of files only those that are shown are decoded.
        probabilities: (N, K).
        class_names: one name per class.
        path: the PNG to write or replace.
        title: over the gallery.
        limit: how many images to show at most.
    """
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != split.labels)
    worst = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:limit]
    captions = [
        (class_names[guess], f" · {probabilities[index, guess]:.0%}", class_names[split.labels[index]])
        for index, guess in zip(worst, predicted[worst], strict=True)
    ]
    draw_gallery(pick(split.images, worst), captions, path, title, f"No mistakes among {len(split)} images")
