"""`method=occlusion`: what changes when a grey square hides a part of the image."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import keras
import numpy as np
import tensorflow as tf
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from omegaconf import DictConfig

from cnnlab.config.ranges import AT_LEAST_0, AT_LEAST_1
from cnnlab.errors import UserError
from cnnlab.evaluation.figure import new_figure, save_figure, shorten
from cnnlab.visualize.attribution import Images, Question, Target, ask
from cnnlab.visualize.grad_cam import map_layer
from cnnlab.visualize.gradients import rows_at_a_time
from cnnlab.visualize.images import SplitName
from cnnlab.visualize.layers import layer_outputs
from cnnlab.visualize.overlay import show_image
from cnnlab.visualize.progress import track
from cnnlab.visualize.scores import class_probabilities

GREY = 127.5
CELL = 2.0  # inches
LEGEND = 6
"""Classes named in the legend of a map of predictions: those that hold the largest area."""


OTHERS = (0.8, 0.8, 0.8)


@dataclass(frozen=True)
class Occluded:
    """What a network makes of an image with a square over it, for each place of the square.

    Attributes:
        probabilities: float32 (rows, columns, K).
        activity: float32 (rows, columns), the sum over the feature map that is strongest in the whole image.
        channel: which map that is.
    """

    probabilities: np.ndarray
    activity: np.ndarray
    channel: int


def draw_occlusion(
    config: DictConfig,
    folder: Path,
    *,
    layer: str | None = None,
    size: Annotated[int, AT_LEAST_1] | None = None,
    stride: Annotated[int, AT_LEAST_1] | None = None,
    images: Images = 3,
    split: SplitName = "auto",
    target: Target = "label",
    seed: Annotated[int, AT_LEAST_0] = 0,
) -> None:
    """Slide a grey square over images.

    After Zeiler & Fergus, "Visualizing and understanding convolutional networks" (2013), figure 7. Writes occlusion.png
    (a row per image: the image, the probability of the class, the activity of the strongest feature map, and the
    predicted class, each by the place of the square's centre) and occlusion.npz: `probability`, `activity`,
    `predicted` (n, rows, columns), `channels` (n,), and `images`, `classes`, `probabilities` and, where known,
    `labels`.

    Args:
        config: `run`, or `weights` with `model` and `dataset`.
        folder: where to write.
        layer: whose strongest map is watched; None for the last convolution's (its activation's).
        size: side of the square in pixels; None for a quarter of the image's shorter side.
        stride: pixels from one place to the next; None for an eighth of the square, at least 1.
        images, split, seed: see `choose_images`.
        target: a class; None for the predicted one, "label" for the image's own.

    Raises:
        UserError: there is no such image, class or layer, or the square is larger than the image.
    """
    question = ask(config, images, split, target, seed)
    network, shape = question.subject.network, question.subject.image_shape
    size = size or max(1, min(shape[:2]) // 4)
    if size > min(shape[:2]):
        raise UserError(f"method.size={size}: the square is larger than the images of {shape[0]}x{shape[1]} pixels")
    stride = stride or max(1, size // 8)
    name = map_layer(network, layer)
    slide = slider(network, name, size, stride)
    found = [slide(image) for image in track(question.chosen.images, "sliding")]
    title = f"{question.subject.title} · occlusion by {size}×{size} pixels"
    metadata = question.subject.metadata(title, seed)
    _draw(question, found, (size, stride), name, folder / "occlusion.png", title, metadata)
    probability = [each.probabilities[..., label] for each, label in zip(found, question.classes, strict=True)]
    np.savez_compressed(
        folder / "occlusion.npz",
        probability=probability,
        activity=[each.activity for each in found],
        predicted=[each.probabilities.argmax(axis=-1) for each in found],
        channels=[each.channel for each in found],
        **question.arrays,
    )


def slider(network: keras.Model, layer: str, size: int, stride: int) -> Callable[[np.ndarray], Occluded]:
    """A function that slides a grey square over an image (H, W, C), all places in batches of bounded size.

    Args:
        network: from pixels to logits.
        layer: a layer with maps, of which the one with the largest sum in the whole image is watched.
        size: side of the square in pixels.
        stride: pixels from one place to the next; places beyond the edge are left out.
    """
    height, width, _ = shape = network.input_shape[1:]
    rows, columns = ((side - size) // stride + 1 for side in (height, width))
    evaluate = layer_outputs(network, [layer])
    batch = rows_at_a_time(shape)

    @tf.function(input_signature=[tf.TensorSpec(shape), tf.TensorSpec((None,), tf.int32)], autograph=False)
    def look(image: tf.Tensor, places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        top, left = (stride * place[:, tf.newaxis] for place in (places // columns, places % columns))
        y, x = tf.range(height), tf.range(width)
        hidden = ((y >= top) & (y < top + size))[:, :, tf.newaxis] & ((x >= left) & (x < left + size))[:, tf.newaxis]
        outputs, logits = evaluate(tf.where(hidden[..., tf.newaxis], GREY, image))
        return class_probabilities(logits), tf.reduce_sum(outputs[layer], axis=(1, 2))

    def slide(image: np.ndarray) -> Occluded:
        pixels = tf.constant(image, tf.float32)
        whole, _ = evaluate(pixels[tf.newaxis])
        channel = int(tf.argmax(tf.reduce_sum(whole[layer], axis=(0, 1, 2))))
        places = tf.range(rows * columns)
        parts = [look(pixels, places[start : start + batch]) for start in range(0, rows * columns, batch)]
        probabilities, sums = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Occluded(probabilities.reshape(rows, columns, -1), sums[:, channel].reshape(rows, columns), channel)

    return slide


def _draw(
    question: Question,
    found: Sequence[Occluded],
    square: tuple[int, int],
    layer: str,
    path: Path,
    title: str,
    metadata: Mapping[str, str],
) -> None:
    figure = new_figure(4 * CELL + 2.2, 0.5 + (CELL + 0.55) * len(found), title)
    names = question.subject.class_names
    rows = zip(figure.subplots(len(found), 4, squeeze=False), question.chosen.images, found, strict=True)
    for number, (axes, image, each) in enumerate(rows):
        target = question.classes[number]
        extent = _extent(each.activity.shape, *square)
        show_image(axes[0], image, question.titles[number])
        probability = each.probabilities[..., target]
        _show(axes[1], probability, image, extent, f"probability of\n{shorten(names[target], 20)}", vmin=0, vmax=1)
        _show(axes[2], each.activity, image, extent, f"activity of map {each.channel}\nof {shorten(layer, 20)}")
        _show_classes(axes[3], each.probabilities.argmax(axis=-1), names, image, extent)
    save_figure(figure, path, metadata)


def _extent(shape: tuple[int, int], size: int, stride: int) -> tuple[float, float, float, float]:
    """Where a map with a value per place of the square lies in the image: around the square's centres."""
    first = (size - 1) / 2 - stride / 2
    return first, first + shape[1] * stride, first + shape[0] * stride, first


def _show(axes: Axes, values: np.ndarray, image: np.ndarray, extent: tuple, title: str, **limits: float) -> None:
    _prepare(axes, image, title)
    drawn = axes.imshow(values, cmap="viridis", extent=extent, interpolation="nearest", **limits)
    axes.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.8, aspect=16, pad=0.03)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)


def _show_classes(axes: Axes, predicted: np.ndarray, names: Sequence[str], image: np.ndarray, extent: tuple) -> None:
    """A colour per predicted class, the largest areas named."""
    _prepare(axes, image, "predicted class")
    classes, counts = np.unique(predicted, return_counts=True)
    order = classes[np.argsort(-counts, kind="stable")]
    colours = colormaps["tab10"].colors
    shown = {label: colours[place] if place < LEGEND else OTHERS for place, label in enumerate(order)}
    axes.imshow(
        np.array([[shown[label] for label in row] for row in predicted]), extent=extent, interpolation="nearest"
    )
    axes.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    handles = [Patch(color=shown[label], label=shorten(names[label], 16)) for label in order[:LEGEND]]
    if len(order) > LEGEND:
        handles.append(Patch(color=OTHERS, label="others"))
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=7, frameon=False)


def _prepare(axes: Axes, image: np.ndarray, title: str) -> None:
    """The image in faint grey, where the square's centre never comes."""
    show_image(axes, np.broadcast_to(image.mean(axis=-1, keepdims=True), image.shape).astype(np.uint8))
    axes.images[0].set_alpha(0.4)
    axes.set_title(title, fontsize=9, parse_math=False)
