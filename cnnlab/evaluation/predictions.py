"""Class probabilities for whole splits: every image exactly once, batch by batch, in bounded memory."""

from collections.abc import Callable, Iterator
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from cnnlab.config.tta import TestTimeAugmentation, Views, parse_views, require_croppable
from cnnlab.data.dataset import ImageFiles, ImageShape, Split
from cnnlab.data.decode import resize_images, stream_images

GOOGLENET_SCALES = (8 / 7, 9 / 7, 10 / 7, 11 / 7)
"""Of the squares out of which GoogLeNet's crops are taken, to the crops: 256, 288, 320 and 352 to 224."""

GOOGLENET_PLACES = (0.0, 0.5, 1.0)
"""Where these squares lie along the longer side of an image: left or top, middle, right or bottom."""

Classifier = Callable[[np.ndarray | tf.Tensor], tf.Tensor]
"""From uint8 images (n, H, W, C) to float32 probabilities (n, K)."""


def predict_probabilities(
    model: keras.Model, split: Split, batch_size: int, tta: TestTimeAugmentation = "none"
) -> np.ndarray:
    """Compute the class probabilities of every image, in order.

    Args:
        model: maps raw uint8 images (n, H, W, C) to probabilities (n, K), or (n, 1) for one sigmoid unit.
        split: images, or files, which are decoded as they are needed; labels are not looked at.
        batch_size: images on the device at a time, also where many views of each are averaged; the last batch may be
            smaller.
        tta: test-time augmentation, which views of an image are averaged, by their probabilities:
            none: the image itself.
            flip: the image and its mirror image, half each.
            flip_shift: those two with 1/4 each; and, reflected at the border, the image shifted one pixel
                down and right, the image shifted one pixel up and left, and the mirror images of both,
                with 1/8 each. The views and weights of Keller Jordan, "94 % on CIFAR-10 in 3.29 Seconds
                on a Single GPU", 2024 (multi-crop evaluation), who averages logits; probabilities are what the
                exported model gives.
            five_crop: the four corners and the middle of the stored square (`Split.stored`).
            ten_crop: those and their mirror images (Krizhevsky et al. 2012, section 4.1).
            googlenet_144: of image files, brought to a shorter side of 256, 288, 320 and 352 pixels, the left, middle
                and right square (of upright ones the top, middle and bottom); of each square the four corners and the
                middle of 224 pixels, and the square itself shrunk to 224; and the mirror images (Szegedy et al. 2014,
                section 7). Where the model takes other sizes than 224, the others are in proportion.
            A list of crops and of flip or flip_shift: these of each crop.

    Returns:
        (N, K) float32. One sigmoid unit p becomes the two columns [1 - p, p].

    Raises:
        UserError: a file cannot be decoded; the message names it. Or there is nothing that crops could be cut out of.
    """
    views = parse_views(tta)
    if views.crops == "one":
        return _predict(classifier(model, views), image_batches(split.images, batch_size))
    files = split.images if isinstance(split.images, ImageFiles) else None
    require_croppable(views, files.resize if files else None, split.stored_shape[0], max(split.image_shape[:2]))
    if files and views.crops == "many":
        return _predict_googlenet(model, views, files, batch_size)
    return _predict(_corner_classifier(model, views), image_batches(split.stored, batch_size))


def predict_views(
    model: keras.Model, split: Split, batch_size: int, tta: TestTimeAugmentation
) -> tuple[np.ndarray, np.ndarray]:
    """What `predict_probabilities` returns, and beside it the probabilities of the images as they are.

    Args and raises: as `predict_probabilities`.

    Returns:
        Two float32 (N, K); the same array twice for tta="none".
    """
    views = parse_views(tta)
    if views.crops != "one":
        return predict_probabilities(model, split, batch_size, tta), predict_probabilities(model, split, batch_size)
    classify = _view_classifier(model, views)
    average, plain = zip(*(classify(batch) for batch in image_batches(split.images, batch_size)), strict=True)
    averages = np.concatenate(average)
    return averages, averages if views.flips == "none" else np.concatenate(plain)


def image_batches(images: np.ndarray | ImageFiles, batch_size: int) -> Iterator[np.ndarray | tf.Tensor]:
    """All images in order, as uint8 (n, H, W, C); n is `batch_size`, at the end perhaps less.

    Raises:
        UserError: a file cannot be decoded; the message names it.
    """
    return stream_images(images, batch_size) if isinstance(images, ImageFiles) else _slices(images, batch_size)


def classifier(model: keras.Model, views: Views) -> Classifier:
    """Compile a model and the flips and shifts of `views` into one function, traced once for all batch sizes.

    Args:
        model: maps raw uint8 images (n, H, W, C) to probabilities (n, K) or (n, 1).
    """
    classify = _view_classifier(model, views)
    return lambda images: classify(images)[0]


def _predict(classify: Classifier, batches: Iterator[np.ndarray | tf.Tensor]) -> np.ndarray:
    return np.concatenate([classify(batch) for batch in batches])


def _predict_googlenet(model: keras.Model, views: Views, files: ImageFiles, batch_size: int) -> np.ndarray:
    """The average over the crops of all squares; files are decoded anew for each square, so that none need be kept."""
    classify, classify_corners = classifier(model, views), _corner_classifier(model, views)
    height, width, channels = shape = files.image_shape

    def classify_square(images: tf.Tensor) -> tf.Tensor:
        return (5 * classify_corners(images) + classify(resize_images(images, shape))) / 6

    total: np.ndarray | float = 0.0
    for scale in GOOGLENET_SCALES:
        square = (round(height * scale), round(width * scale), channels)
        for place in GOOGLENET_PLACES:
            window = partial(_largest_window, square, place)
            total = total + _predict(classify_square, stream_images(files.shaped(square), batch_size, window))
    return np.asarray(total / (len(GOOGLENET_SCALES) * len(GOOGLENET_PLACES)), np.float32)


def _largest_window(shape: ImageShape, place: float, size: tf.Tensor) -> tf.Tensor:
    """The largest windows of a shape's aspect ratio in images of `size` (n, 2), from 0 at their beginning to 1 at their
    end."""
    target = tf.constant(shape[:2], tf.float32)
    scale = tf.reduce_min(tf.cast(size, tf.float32) / target, -1, keepdims=True)
    extent = tf.cast(tf.round(target * scale), tf.int32)
    extent = tf.clip_by_value(extent, 1, size)
    return tf.concat([tf.cast(tf.round(tf.cast(size - extent, tf.float32) * place), tf.int32), extent], -1)


def _corner_classifier(model: keras.Model, views: Views) -> Classifier:
    """From larger images to the average over their corners and their middle, one after the other."""
    height, width, channels = model.input_shape[1:]

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, channels), tf.uint8)], autograph=False)
    def classify(images: tf.Tensor) -> tf.Tensor:
        down, right = tf.unstack(tf.shape(images)[1:3] - (height, width))

        def classify_crop(start: tf.Tensor) -> tf.Tensor:
            crop = images[:, start[0] : start[0] + height, start[1] : start[1] + width]
            return _average(model, tf.ensure_shape(crop, model.input_shape), views)[0]

        starts = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
        signature = tf.TensorSpec((None, None), tf.float32)
        each = tf.map_fn(classify_crop, tf.stack(starts), fn_output_signature=signature, parallel_iterations=1)
        return tf.reduce_mean(each, axis=0)

    return classify.get_concrete_function()


def _view_classifier(
    model: keras.Model, views: Views
) -> Callable[[np.ndarray | tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """From images to the average over their flips and shifts, and to the first of these, the image as it is."""

    @tf.function(input_signature=[tf.TensorSpec(model.input_shape, tf.uint8)], autograph=False)
    def classify(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return _average(model, images, views)

    return classify.get_concrete_function()


def _average(model: keras.Model, images: tf.Tensor, views: Views) -> tuple[tf.Tensor, tf.Tensor]:
    views_of_each = [(_class_columns(model, view), weight) for view, weight in _flips(images, views)]
    average = tf.add_n([weight * probabilities for probabilities, weight in views_of_each])
    return tf.ensure_shape(average, (None, None)), views_of_each[0][0]


def _class_columns(model: keras.Model, images: tf.Tensor) -> tf.Tensor:
    """Probabilities (n, K) float32, also for a head of one sigmoid unit."""
    probabilities = tf.cast(model(images, training=False), tf.float32)
    if probabilities.shape[-1] == 1:
        return tf.concat([1.0 - probabilities, probabilities], axis=-1)
    return probabilities


def _flips(images: tf.Tensor, views: Views) -> list[tuple[tf.Tensor, float]]:
    """The images to average, each with its weight; the image itself comes first."""
    if views.flips == "none":
        return [(images, 1.0)]
    if views.flips == "flip":
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
