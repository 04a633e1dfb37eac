"""What the attribution methods have in common: images, target classes, evaluation in batches, figures, arrays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.ranges import AT_LEAST_1
from cnnlab.errors import UserError
from cnnlab.visualize.attribution.gradients import rows_at_a_time
from cnnlab.visualize.attribution.scores import class_probabilities
from cnnlab.visualize.drawing.overlay import Overlay, draw_overlays
from cnnlab.visualize.images import Chosen, SplitName, choose_class, choose_images
from cnnlab.visualize.progress import track
from cnnlab.visualize.subject import Subject, load_subject

Images = Annotated[int, AT_LEAST_1] | list[int] | str
Target = str | int | None

LABEL = "label"
"""The target that stands for each image's own class."""


@dataclass(frozen=True)
class Targets:
    """What an attribution method explains: images, each with its target class.

    Attributes:
        subject: the network.
        chosen: the images.
        classes: int32 (n,) the target class of each.
        probabilities: float32 (n, K) what the network takes the images for.
        seed: drew the images.
    """

    subject: Subject
    chosen: Chosen
    classes: np.ndarray
    probabilities: np.ndarray
    seed: int

    @property
    def arrays(self) -> dict[str, Any]:
        """What a method's file of arrays has in any case."""
        arrays = {"images": self.chosen.images, "classes": self.classes, "probabilities": self.probabilities}
        return arrays if self.chosen.labels is None else arrays | {"labels": self.chosen.labels}

    @property
    def titles(self) -> list[str]:
        """One per image: the class with its probability, and what the image is where that is something else."""
        names = self.subject.class_names
        titles = []
        for number, target in enumerate(self.classes):
            title = f"{names[target]} · {self.probabilities[number, target]:.1%}"
            is_another = self.chosen.labels is None or self.chosen.labels[number] != target
            titles.append(f"{title}\n({self.chosen.names[number]})" if is_another else title)
        return titles


def choose_targets(
    config: DictConfig, images: int | list[int] | str, split: SplitName, target: Target, seed: int
) -> Targets:
    """Load the network and the images, and find the target class of each image.

    Args:
        config: `run`, or `weights` with `model` and `dataset`.
        images, split, seed: see `choose_images`.
        target: a class by name or index; None for the class predicted for each image, "label" for its own.

    Raises:
        UserError: there is no such image or class.
    """
    subject = load_subject(config)
    chosen = choose_images(subject, images, split, seed)
    logits = in_batches(subject.network, subject.image_shape, what="predicting")(chosen.images)
    probabilities = class_probabilities(tf.constant(logits)).numpy()
    classes = _classes(subject, chosen, target, probabilities.argmax(axis=1)).astype(np.int32)
    return Targets(subject, chosen, classes, probabilities, seed)


def _classes(subject: Subject, chosen: Chosen, target: Target, predicted: np.ndarray) -> np.ndarray:
    if target is None:
        return predicted
    if target != LABEL or LABEL in subject.class_names:
        return np.full(len(predicted), choose_class(subject, target))
    if chosen.labels is None:
        raise UserError(
            f"method.target={LABEL}: the class of image files is not known; "
            "use method.target=null for the predicted one, or a class"
        )
    return chosen.labels


def in_batches(
    compute: Callable[..., Any], image_shape: Sequence[int], integers: int = 0, what: str = "working"
) -> Callable[..., Any]:
    """Compile a function that then gets a bounded number of images at a time.

    Args:
        compute: (images float32 (b, H, W, C), as many int32 (b,) as `integers`) -> tensors (b, …), nested as it likes.
        image_shape: (H, W, C).
        integers: how many tensors of integers it takes beside the images.
        what: is being done, for the progress bar.

    Returns:
        A function from images uint8 (n, H, W, C) and integers (n,) to what `compute` returns for all of them, as
        arrays. Traced once, so it follows the network's weights when they change.
    """
    batch = rows_at_a_time(image_shape)
    signature = [tf.TensorSpec((None, *image_shape)), *[tf.TensorSpec((None,), tf.int32)] * integers]
    # The concrete function: TensorFlow would take several methods that are compiled here for one that is retraced.
    compiled = tf.function(compute, input_signature=signature, autograph=False).get_concrete_function()

    def evaluate(images: np.ndarray, *others: np.ndarray) -> Any:
        parts = []
        for start in track(range(0, len(images), batch), what):
            pixels, *rest = (array[start : start + batch] for array in (images, *others))
            parts.append(compiled(tf.constant(pixels, tf.float32), *map(tf.constant, rest)))
        return tf.nest.map_structure(lambda *batches: np.concatenate(batches), *parts)

    return evaluate


def attribute(targets: Targets, compute: Callable[[tf.Tensor, tf.Tensor], Any], what: str) -> Any:
    """Compute something for images and their target classes; see `in_batches`."""
    return in_batches(compute, targets.subject.image_shape, 1, what)(targets.chosen.images, targets.classes)


def strongest(attributions: np.ndarray) -> np.ndarray:
    """The largest absolute value over the channels: (n, H, W, C) -> (n, H, W), not negative."""
    return np.abs(attributions).max(axis=-1)


def summed(attributions: np.ndarray) -> np.ndarray:
    """The sum over the channels: (n, H, W, C) -> (n, H, W), signed."""
    return attributions.sum(axis=-1)


def report(
    targets: Targets,
    folder: Path,
    method: str,
    maps: np.ndarray,
    unit: str,
    *,
    signed: bool = False,
    notes: Sequence[str] = (),
    **arrays: Any,
) -> None:
    """Draw image, map and overlay for each image as METHOD.png, and write METHOD.npz.

    Args:
        folder: where to write.
        maps: float (n, h, w).
        unit: of the maps, beside the colour bar.
        signed: whether the maps have both signs.
        notes: one per image, under its map.
        arrays: to write besides those of the targets and `maps`.
    """
    titles, notes = targets.titles, notes or [""] * len(maps)
    rows = [Overlay(*row) for row in zip(targets.chosen.images, maps, titles, notes, strict=True)]
    title = f"{targets.subject.title} · {method.replace('_', ' ')}"
    metadata = targets.subject.metadata(title, targets.seed)
    draw_overlays(rows, folder / f"{method}.png", title, metadata, unit, signed=signed)
    np.savez_compressed(folder / f"{method}.npz", maps=maps, **targets.arrays, **arrays)
