"""The images of a dataset that excite channels the most, found in one pass."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from cnnlab.visualize.feature_visualization.dead import constant
from cnnlab.visualize.layers import layer_outputs

VALUES_AT_A_TIME = 2**20
MOST_IMAGES = 256


@dataclass(frozen=True)
class TopActivations:
    """The strongest activations of some channels of a layer, one per image, the strongest first.

    Attributes:
        channels: (m,) which of the layer's.
        values: float32 (m, k).
        images: int32 (m, k) positions of the images among those looked at.
        positions: int32 (m, k, 2) where in the channel, as row and column; 0, 0 in a layer without.
        constant: bool (m,) whether the channel is the same everywhere in all images.
        negative: bool (m,) whether the channel is ever below zero, so that no ReLU ends it.
    """

    channels: np.ndarray
    values: np.ndarray
    images: np.ndarray
    positions: np.ndarray
    constant: np.ndarray
    negative: np.ndarray

    @property
    def fires(self) -> np.ndarray:
        """Bool (m, k), which activations say something: what a ReLU leaves at zero, or is constant, does not."""
        return ((self.values > 0) | self.negative[:, np.newaxis]) & ~self.constant[:, np.newaxis]

    @property
    def dead(self) -> np.ndarray:
        """Channels of a ReLU that no image brings above zero, and those that are the same everywhere."""
        return self.channels[~self.fires.any(axis=1)]


def images_at_a_time(image_shape: Sequence[int]) -> int:
    """How many images (H, W, C) are a batch, so that memory stays bounded."""
    return max(1, min(MOST_IMAGES, VALUES_AT_A_TIME // math.prod(image_shape)))


def top_activations(
    network: keras.Model,
    channels: Mapping[str, Sequence[int]],
    batches: Iterable[np.ndarray | tf.Tensor],
    top: int,
) -> dict[str, TopActivations]:
    """Find for channels the images with the highest activations.

    All channels of all layers in one pass; kept are only the best so far, on the device. Of equals, the
    earlier image and position count.

    Args:
        network: from pixels to logits.
        channels: which, by name of the layer; those of a dense layer are its units.
        batches: of uint8 or float images (n, H, W, C), 0 to 255, at least `top` in all.
        top: how many images per channel.

    Returns:
        By name of the layer, in their order.
    """
    evaluate = layer_outputs(network, list(channels))
    kept = {name: _Kept(len(indices), top) for name, indices in channels.items()}

    @tf.function(
        input_signature=[tf.TensorSpec((None, *network.input_shape[1:])), tf.TensorSpec((), tf.int32)], autograph=False
    )
    def update(pixels: tf.Tensor, first: tf.Tensor) -> None:
        outputs, _ = evaluate(pixels)
        for name, indices in channels.items():
            output = outputs[name]
            output = output if len(output.shape) == 4 else output[:, tf.newaxis, tf.newaxis]
            kept[name].update(tf.gather(output, tf.constant(indices, tf.int32), axis=-1), first)

    seen = 0
    for batch in batches:
        update(tf.cast(batch, tf.float32), tf.constant(seen))
        seen += len(batch)
    return {name: kept[name].result(np.array(indices), seen) for name, indices in channels.items()}


class _Kept:
    """The best so far of the channels of one layer."""

    def __init__(self, channels: int, top: int):
        self._top = top
        self._values = tf.Variable(tf.fill((channels, top), -math.inf))
        self._least = tf.Variable(tf.fill((channels,), math.inf))
        self._places = tf.Variable(tf.zeros((channels, top, 3), tf.int32))  # image, row, column

    def update(self, output: tf.Tensor, first: tf.Tensor) -> None:
        """Look at the channels (n, h, w, m) of the images from number `first` on."""
        count, _, width, channels = tf.unstack(tf.shape(output))
        flat = tf.transpose(tf.reshape(output, (count, -1, channels)), (2, 0, 1))
        where = tf.argmax(flat, axis=2, output_type=tf.int32)
        image = tf.broadcast_to(first + tf.range(count), (channels, count))
        places = tf.stack([image, where // width, where % width], axis=2)
        values = tf.concat([self._values, tf.reduce_max(flat, axis=2)], axis=1)
        best, chosen = tf.math.top_k(values, self._top)
        self._places.assign(tf.gather(tf.concat([self._places, places], axis=1), chosen, batch_dims=1))
        self._values.assign(best)
        self._least.assign(tf.minimum(self._least, tf.reduce_min(flat, axis=(1, 2))))

    def result(self, channels: np.ndarray, seen: int) -> TopActivations:
        """What is best of the channels in `seen` images."""
        places, values = self._places.numpy(), self._values.numpy()
        least = self._least.numpy()
        flat = constant(least, values[:, 0], seen)
        return TopActivations(channels, values, places[..., 0], places[..., 1:], flat, least < 0)
