"""Class probabilities for whole splits: every image exactly once, batch by batch, in bounded memory."""

from collections.abc import Callable, Iterator
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from cnnlab.data.dataset import ImageFiles
from cnnlab.data.decode import stream_images

TestTimeAugmentation = Literal["none", "flip", "flip_shift"]


def predict_probabilities(
    model: keras.Model,
    images: np.ndarray | ImageFiles,
    batch_size: int,
    tta: TestTimeAugmentation = "none",
) -> np.ndarray:
    """Compute the class probabilities of every image, in order.

    Args:
        model: maps raw uint8 images (n, H, W, C) to probabilities (n, K), or (n, 1) for one sigmoid unit.
        images: uint8 array (N, H, W, C), or files, which are decoded as they are needed.
        batch_size: images on the device at a time; the last batch may be smaller.
        tta: test-time augmentation, see `classifier`.

    Returns:
        (N, K) float32. One sigmoid unit p becomes the two columns [1 - p, p].

    Raises:
        UserError: a file cannot be decoded; the message names it.
    """
    return predict_views(model, images, batch_size, tta)[0]


def predict_views(
    model: keras.Model, images: np.ndarray | ImageFiles, batch_size: int, tta: TestTimeAugmentation
) -> tuple[np.ndarray, np.ndarray]:
    """What `predict_probabilities` returns, and beside it the probabilities of the images as they are; in one pass.

    Args and raises: as `predict_probabilities`.

    Returns:
        Two float32 (N, K); the same array twice for tta="none".
    """
    classify = _view_classifier(model, tta)
    average, plain = zip(*(classify(batch) for batch in image_batches(images, batch_size)), strict=True)
    averages = np.concatenate(average)
    return averages, averages if tta == "none" else np.concatenate(plain)


def image_batches(images: np.ndarray | ImageFiles, batch_size: int) -> Iterator[np.ndarray | tf.Tensor]:
    """All images in order, as uint8 (n, H, W, C); n is `batch_size`, at the end perhaps less.

    Raises:
        UserError: a file cannot be decoded; the message names it.
    """
    return stream_images(images, batch_size) if isinstance(images, ImageFiles) else _slices(images, batch_size)


def classifier(model: keras.Model, tta: TestTimeAugmentation = "none") -> Callable[[tf.Tensor], tf.Tensor]:
    """Compile a model and its test-time augmentation into one function, traced once for all batch sizes.

    Args:
        model: maps raw uint8 images (n, H, W, C) to probabilities (n, K) or (n, 1).
        tta: which views of an image are averaged, by their probabilities:
            none: the image itself.
            flip: the image and its mirror image, half each.
            flip_shift: those two with 1/4 each; and, reflected at the border, the image shifted one pixel
                down and right, the image shifted one pixel up and left, and the mirror images of both,
                with 1/8 each. The views and weights of Keller Jordan, "94 % on CIFAR-10 in 3.29 Seconds
                on a Single GPU", 2024 (multi-crop evaluation), who averages logits; probabilities are what the
                exported model gives.

    Returns:
        A function from uint8 images (n, H, W, C) to float32 probabilities (n, K).
    """

    classify = _view_classifier(model, tta)
    return lambda images: classify(images)[0]


def _view_classifier(
    model: keras.Model, tta: TestTimeAugmentation
) -> Callable[[np.ndarray | tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """From images to the average over their views, and to the first of these, which is the image as it is."""

    @tf.function(input_signature=[tf.TensorSpec(model.input_shape, tf.uint8)], autograph=False)
    def classify(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        views = [(_class_columns(model, view), weight) for view, weight in _views(images, tta)]
        average = tf.add_n([weight * probabilities for probabilities, weight in views])
        return tf.ensure_shape(average, (None, None)), views[0][0]

    return classify


def _class_columns(model: keras.Model, images: tf.Tensor) -> tf.Tensor:
    """Probabilities (n, K) float32, also for a head of one sigmoid unit."""
    probabilities = tf.cast(model(images, training=False), tf.float32)
    if probabilities.shape[-1] == 1:
        return tf.concat([1.0 - probabilities, probabilities], axis=-1)
    return probabilities


def _views(images: tf.Tensor, tta: TestTimeAugmentation) -> list[tuple[tf.Tensor, float]]:
    """The images to average, each with its weight; the image itself comes first."""
    if tta == "none":
        return [(images, 1.0)]
    if tta == "flip":
        return _with_mirror(images, 1.0)
    return [
        *_with_mirror(images, 0.5),
        *_with_mirror(_shift_down_right(images), 0.25),
        *_with_mirror(_shift_up_left(images), 0.25),
    ]


def _with_mirror(images: tf.Tensor, weight: float) -> list[tuple[tf.Tensor, float]]:
    return [(images, weight / 2), (tf.reverse(images, axis=[2]), weight / 2)]


def _shift_down_right(images: tf.Tensor) -> tf.Tensor:
    """One pixel down and right; the freed row and column mirror their neighbours without the edge itself."""
    images = tf.concat([images[:, 1:2], images[:, :-1]], axis=1)
    return tf.concat([images[:, :, 1:2], images[:, :, :-1]], axis=2)


def _shift_up_left(images: tf.Tensor) -> tf.Tensor:
    """One pixel up and left; see `_shift_down_right`."""
    images = tf.concat([images[:, 1:], images[:, -2:-1]], axis=1)
    return tf.concat([images[:, :, 1:], images[:, :, -2:-1]], axis=2)


def _slices(images: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(images), batch_size):
        yield images[start : start + batch_size]
