"""A gallery of the images a model got wrong while most sure of itself."""

from pathlib import Path

import numpy as np

from cnnlab.data.dataset import Split
from cnnlab.evaluation.gallery import Caption, draw_gallery, pick, whereabouts


def draw_mistakes(
    split: Split,
    probabilities: np.ndarray,
    class_names: tuple[str, ...],
    path: Path,
    title: str,
    limit: int = 24,
    positions: np.ndarray | None = None,
) -> None:
    """Draw the most confident mistakes, the worst first, with what was predicted, what is true, and which image it is.

    Args:
        split: the N evaluated images; of files only those that are shown are decoded.
        probabilities: (N, K).
        class_names: one name per class.
        path: the PNG to write or replace.
        title: over the gallery.
        limit: how many images to show at most.
        positions: (N,) of the images, as predictions.csv has them; None for their order here.
    """
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != split.labels)
    worst = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:limit]
    names = whereabouts(split.images, worst, worst if positions is None else positions[worst])
    captions = [
        Caption(class_names[guess], f" · {probabilities[index, guess]:.0%}", class_names[split.labels[index]], name)
        for index, guess, name in zip(worst, predicted[worst], names, strict=True)
    ]
    counts = f"{len(worst)} of {len(wrong):,}" if len(worst) < len(wrong) else f"all {len(wrong):,}"
    nothing = f"No mistakes among {len(split):,} images"
    draw_gallery(pick(split.images, worst), captions, path, f"{title} · {counts}" if len(wrong) else title, nothing)
