"""`method=occlusion`: what changes when a grey square hides a part of the image."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike
from omegaconf import DictConfig

from cnnlab.config.ranges import AT_LEAST_1, SEED
from cnnlab.errors import UserError
from cnnlab.reporting.figure import COLORS, new_figure, save_figure, shorten
from cnnlab.visualize.attribution.gradients import rows_at_a_time
from cnnlab.visualize.attribution.maps import Images, Target, Targets, choose_targets
from cnnlab.visualize.attribution.scores import class_probabilities
from cnnlab.visualize.drawing.overlay import DIVERGING, show_image
from cnnlab.visualize.images import SplitName
from cnnlab.visualize.layers import layer_outputs, spatial_layer
from cnnlab.visualize.progress import track

GREY = 127.5
CELL = 2.0  # inches
OTHERS = "#cccccc"
"""Of predicted classes that no colour is left for."""


@dataclass(frozen=True)
class Occluded:
    """What a network makes of an image with a square over it, for each place of the square.

    Attributes:
        probabilities: float32 (rows, columns, K).
        activity: float32 (rows, columns), the sum over the channel that is strongest in the whole image.
        channel: which that is.
        whole: its sum without a square; 0 where it is dead in the image.
    """

    probabilities: np.ndarray
    activity: np.ndarray
    channel: int
    whole: float

    @property
    def change(self) -> np.ndarray:
        """The activity's change by the square, as a share of the size of `whole`; NaN where the channel is dead."""
        return (self.activity - self.whole) / (abs(self.whole) or np.nan)


def draw_occlusion(
    config: DictConfig,
    folder: Path,
    *,
    layer: str | None = None,
    size: Annotated[int, AT_LEAST_1] | None = None,
    stride: Annotated[int, AT_LEAST_1] | None = None,
    images: Images = 3,
    split: SplitName = "auto",
    target: Target = None,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Slide a grey square over images.

    After Zeiler & Fergus, "Visualizing and understanding convolutional networks" (2013), figure 7. Writes occlusion.png
    (a row per image: the image, by how much the probability of the class changes, by how much the sum of the strongest
    channel, and the predicted class, each by the place of the square's centre; a colour means the same in every
    row: blue, that hiding this place takes away, red, that it adds) and
    occlusion.npz: `probability`, `activity`, `predicted` (n, rows, columns), `channels` and `whole_activity` (n,), and
    `images`, `classes`, `probabilities` and, where known, `labels`.

    Args:
        config, images, split, target, seed: see `choose_targets`.
        folder: where to write.
        layer: whose strongest channel is watched; None for that of the last feature maps, see `spatial_layer`.
        size: side of the square in pixels; None for a quarter of the image's shorter side.
        stride: pixels from one place to the next; None for an eighth of the square, at least 1.

    Raises:
        UserError: there is no such image, class or layer, or the square is larger than the image.
    """
    targets = choose_targets(config, images, split, target, seed)
    network, shape = targets.subject.network, targets.subject.image_shape
    size = size or max(1, min(shape[:2]) // 4)
    if size > min(shape[:2]):
        raise UserError(f"method.size={size}: the square is larger than the images of {shape[0]}x{shape[1]} pixels")
    stride = stride or max(1, size // 8)
    name = spatial_layer(network, layer)
    slide = slider(network, name, size, stride)
    found = [slide(image) for image in track(targets.chosen.images, "sliding")]
    title = f"{targets.subject.title} · occlusion by {size}×{size} pixels"
    metadata = targets.subject.metadata(title, seed)
    _draw(targets, found, (size, stride), name, folder / "occlusion.png", title, metadata)
    probability = [each.probabilities[..., label] for each, label in zip(found, targets.classes, strict=True)]
    np.savez_compressed(
        folder / "occlusion.npz",
        probability=probability,
        activity=[each.activity for each in found],
        predicted=[each.probabilities.argmax(axis=-1) for each in found],
        channels=[each.channel for each in found],
        whole_activity=[each.whole for each in found],
        **targets.arrays,
    )


def slider(network: keras.Model, layer: str, size: int, stride: int) -> Callable[[np.ndarray], Occluded]:
    """A function that slides a grey square over an image (H, W, C), all places in batches of bounded size.

    Args:
        network: from pixels to logits.
        layer: a layer with feature maps, of which the one with the largest sum in the whole image is watched.
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
        strengths = tf.reduce_sum(whole[layer], axis=(0, 1, 2)).numpy()
        channel = int(strengths.argmax())
        places = tf.range(rows * columns)
        parts = [look(pixels, places[start : start + batch]) for start in range(0, rows * columns, batch)]
        probabilities, sums = (np.concatenate(part) for part in zip(*parts, strict=True))
        activity = sums[:, channel].reshape(rows, columns)
        return Occluded(probabilities.reshape(rows, columns, -1), activity, channel, float(strengths[channel]))

    return slide


def _draw(
    targets: Targets,
    found: Sequence[Occluded],
    square: tuple[int, int],
    layer: str,
    path: Path,
    title: str,
    metadata: Mapping[str, str],
) -> None:
    """A row per image; the colours of a column have one scale, and a class has one colour."""
    rows = len(found)
    figure = new_figure(4 * CELL + 1.2, 1.1 + (CELL + 0.45) * rows, title)
    *cells, last = figure.subplots(rows + 1, 4, squeeze=False, height_ratios=[*[CELL] * rows, 0.12])
    names = targets.subject.class_names
    predicted = [each.probabilities.argmax(axis=-1) for each in found]
    colours = class_colours(predicted)
    before = targets.probabilities[range(rows), targets.classes]
    points = [
        100 * (each.probabilities[..., target] - probability)
        for each, target, probability in zip(found, targets.classes, before, strict=True)
    ]
    percent = [100 * each.change for each in found]
    scales = [symmetric(points), symmetric(percent)]
    for number, (axes, image, each) in enumerate(zip(cells, targets.chosen.images, found, strict=True)):
        extent = _extent(each.activity.shape, *square)
        show_image(axes[0], image, targets.titles[number])
        _prepare(axes[1], image, f"probability of\n{shorten(names[targets.classes[number]], 20)}")
        _show(axes[1], points[number], extent, cmap=DIVERGING, norm=scales[0])
        dead = "" if each.whole else ": dead"
        _prepare(axes[2], image, f"channel {each.channel} of\n{shorten(layer, 20)}{dead}")
        _show(axes[2], percent[number], extent, cmap=DIVERGING, norm=scales[1])
        _prepare(axes[3], image, "predicted class")
        _show(axes[3], [[to_rgb(colours.get(label, OTHERS)) for label in row] for row in predicted[number]], extent)
    last[0].set_axis_off()
    last[3].set_axis_off()
    _add_bar(last[1], scales[0], "change in percentage points")
    _add_bar(last[2], scales[1], "change of the channel's sum, in %")
    _add_legend(figure, colours, names, predicted)
    save_figure(figure, path, metadata)


def symmetric(maps: Sequence[np.ndarray]) -> Normalize:
    """One scale for all maps, whose middle is zero; what is NaN does not count."""
    largest = max((float(np.abs(values[np.isfinite(values)]).max(initial=0)) for values in maps), default=0)
    return Normalize(-(largest or 1), largest or 1)


def class_colours(predicted: Sequence[np.ndarray]) -> dict[int, str]:
    """A colour for each of the classes that hold the largest areas, summed over all maps (rows, columns) of classes."""
    classes, counts = np.unique(np.concatenate([each.ravel() for each in predicted]), return_counts=True)
    order = classes[np.argsort(-counts, kind="stable")]
    return dict(zip(order.tolist(), COLORS, strict=False))


def _extent(shape: tuple[int, int], size: int, stride: int) -> tuple[float, float, float, float]:
    """Where a map with a value per place of the square lies in the image: around the square's centres."""
    first = (size - 1) / 2 - stride / 2
    return first, first + shape[1] * stride, first + shape[0] * stride, first


def _show(axes: Axes, values: ArrayLike, extent: tuple[float, float, float, float], **how: Any) -> None:
    """A map over the faint image, whose view it leaves."""
    view = {"xlim": axes.get_xlim(), "ylim": axes.get_ylim()}
    axes.imshow(values, extent=extent, interpolation="nearest", **how)
    axes.set(**view)


def _add_bar(axes: Axes, norm: Normalize, label: str) -> None:
    """Below a column, for all its rows."""
    bar = axes.figure.colorbar(ScalarMappable(norm, DIVERGING), cax=axes, orientation="horizontal")
    bar.locator = MaxNLocator(4)
    bar.ax.tick_params(labelsize=7)
    bar.set_label(label, fontsize=8)
    bar.outline.set_visible(False)


def _add_legend(
    figure: Figure, colours: Mapping[int, str], names: Sequence[str], predicted: Sequence[np.ndarray]
) -> None:
    """The predicted classes, beside the last column."""
    handles = [Patch(color=color, label=shorten(names[label], 18)) for label, color in colours.items()]
    if any(not np.isin(labels, list(colours)).all() for labels in predicted):
        handles.append(Patch(color=OTHERS, label="others"))
    legend = figure.legend(handles=handles, loc="outside right center", fontsize=8, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _prepare(axes: Axes, image: np.ndarray, title: str) -> None:
    """The image in faint grey, where the square's centre never comes."""
    show_image(axes, np.broadcast_to(image.mean(axis=-1, keepdims=True), image.shape).astype(np.uint8))
    axes.images[0].set_alpha(0.4)
    axes.set_title(title, fontsize=9, parse_math=False)
