"""How the images of a batch get to the replicas: gathered from the device, or streamed from the host.

Both data loaders do the host's part in `inputs` (once per call into TensorFlow) and the graph's part in `select`
(inside the replica's step). What an example's position in the global batch is does not depend on how many
replicas share the batch: replica r takes positions r·b … (r+1)·b - 1.
"""

import logging
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from cnnlab.config.crops import require_streamed
from cnnlab.data.dataset import ImageFiles, Split
from cnnlab.data.decode import ENCODED, Cuts, cut, decoder, encoded, find_damaged, from_python, load_images
from cnnlab.data.sampler import PADDING
from cnnlab.errors import Unreadable

log = logging.getLogger(__name__)

WORD = 8  # bytes
AHEAD = 2  # batches that a stream makes ahead of their steps
PAUSES = (1, 5, 20)  # seconds, before what could not be read is tried again


class Sampler(Protocol):
    """Which examples a step takes (see cnnlab.data.sampler)."""

    @property
    def batch_size(self) -> int: ...

    @property
    def steps(self) -> int | None: ...

    def batch(self, step: int) -> np.ndarray: ...


class FileCropping(Protocol):
    """Which window of an image file a step sees: a pure function of the step, the position and the file's size."""

    def draw(self, step: tf.Tensor, first: int, count: int) -> tf.Tensor:
        """The random numbers (count, …) of the positions from `first` on in the global batch of a step."""

    def window(self, drawn: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """The windows (n, 4) that the numbers of n positions choose in images of `size` (n, 2)."""


Selected = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
"""uint8 images (b, H, W, C), int64 labels (b,) and int64 indices (b,), PADDING where there is no example."""


class CachedLoader:
    """The whole split stays on every device; a batch is one gather there.

    The rows are held as 64-bit words: TensorFlow has no GPU kernel that gathers uint8 (XLA aside), and moving
    eight bytes at a time is also faster on a CPU.

    Args:
        images: uint8 array of shape (N, H, W, C).
        labels: (N,) class indices.
        sampler: which examples a step takes.
        strategy: the strategy whose replicas share the batch.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, sampler: Sampler, strategy: tf.distribute.Strategy):
        self._shape = images.shape[1:]
        self._sampler = sampler
        self._size = sampler.batch_size // strategy.num_replicas_in_sync
        words = _as_words(images)
        devices = strategy.extended.worker_devices

        def on_each_device(value: np.ndarray) -> Any:
            def place(context: tf.distribute.ReplicaContext) -> tf.Tensor:
                with tf.device(devices[context.replica_id_in_sync_group % len(devices)]):
                    return tf.identity(tf.constant(value))

            return strategy.experimental_distribute_values_from_function(place)

        self._images = on_each_device(words)
        self._labels = on_each_device(labels.astype(np.int64))

    def inputs(self, first_step: int, count: int) -> tuple[Any, ...]:
        """The arguments of a call that makes `count` steps from `first_step` on."""
        indices = np.stack([self._sampler.batch(step) for step in range(first_step, first_step + count)])
        return self._images, self._labels, tf.constant(indices, tf.int64)

    def select(self, inputs: tuple[tf.Tensor, ...], number: int | tf.Tensor, replica: int | tf.Tensor) -> Selected:
        """This replica's share of the call's step `number` (from 0), in the graph."""
        words, labels, indices = inputs
        mine = indices[number, replica * self._size : (replica + 1) * self._size]
        mine = tf.ensure_shape(mine, (self._size,))
        rows = tf.maximum(mine, 0)
        height, width, channels = self._shape
        image_bytes = tf.reshape(tf.bitcast(tf.gather(words, rows), tf.uint8), (self._size, -1))
        images = tf.reshape(image_bytes[:, : height * width * channels], (self._size, height, width, channels))
        return images, tf.gather(labels, rows), mine


class StreamLoader:
    """Batches are made on the host, ahead of the steps, with memory for a few of them on the device.

    Image files are decoded in parallel; the shuffling is over file names. Steps must be asked for one at a
    time and in sequence; asking for another step starts the stream anew there.

    Args: as CachedLoader, with `images` an array or the files to decode, and `cropping`, which chooses the windows of
        files that are decoded; None for the whole.
    """

    def __init__(
        self,
        images: np.ndarray | ImageFiles,
        labels: np.ndarray,
        sampler: Sampler,
        strategy: tf.distribute.Strategy,
        cropping: FileCropping | None = None,
    ):
        self._sampler = sampler
        self._strategy = strategy
        self._cropping = cropping
        self._size = sampler.batch_size // strategy.num_replicas_in_sync
        with tf.device("CPU"):
            self._labels = tf.constant(labels, tf.int64)
            self._images = images if isinstance(images, ImageFiles) else tf.constant(images)
        self._next_step = -1
        self._batches: Iterator[Selected] = iter(())

    def inputs(self, first_step: int, count: int) -> tuple[Any, ...]:
        """The arguments of a call that makes the one step `first_step`; `count` must be 1."""
        if count != 1:
            raise ValueError(f"a streaming data loader makes one step per call, not {count}")
        if first_step != self._next_step:
            self._batches = iter(self._stream(first_step))
        self._next_step = first_step + 1
        batch = self._next_batch(first_step)
        if self._strategy.num_replicas_in_sync == 1:
            return batch
        first = self._first_local_replica()
        return tuple(self._split(part, first) for part in batch)

    def select(self, inputs: tuple[tf.Tensor, ...], number: int | tf.Tensor, replica: int | tf.Tensor) -> Selected:
        """This replica's share, in the graph."""
        return inputs

    def _next_batch(self, step: int) -> Selected:
        """The batch of `step`; where a file cannot be read, as on a network drive that is away, after a while."""
        for pause in PAUSES:
            try:
                return next(self._batches)
            except tf.errors.OpError as error:
                log.warning("step %d: %s; trying again in %d s", step + 1, self._fault(step, error), pause)
            time.sleep(pause)
            self._batches = iter(self._stream(step))
        try:
            return next(self._batches)
        except tf.errors.OpError as error:
            raise Unreadable(f"{self._fault(step, error)} (step {step + 1})") from error

    def _fault(self, step: int, error: tf.errors.OpError) -> str:
        """Which file cannot be read, and why: one of the batch that failed, or of those that are made ahead of it."""
        if not isinstance(self._images, ImageFiles):
            return str(error)
        for ahead in range(AHEAD + 1):
            if self._sampler.steps is None or step + ahead < self._sampler.steps:
                rows = self._sampler.batch(step + ahead)
                if damaged := find_damaged(self._images.take(rows[rows != PADDING])):
                    gone = self._images.read is None and not Path(damaged).exists()
                    return f"{damaged}: {'is gone' if gone else 'cannot be decoded'}"
        return f"an image could not be read ({error.message})"

    def _split(self, part: tf.Tensor, first: int) -> Any:
        def share(context: tf.distribute.ReplicaContext) -> tf.Tensor:
            position = (context.replica_id_in_sync_group - first) * self._size
            return part[position : position + self._size]

        return self._strategy.experimental_distribute_values_from_function(share)

    def _first_local_replica(self) -> int:
        resolver = self._strategy.cluster_resolver
        worker = resolver.task_id if resolver is not None and resolver.task_id else 0
        return worker * self._local_replicas()

    def _local_replicas(self) -> int:
        return len(self._strategy.extended.worker_devices)

    def _stream(self, first_step: int) -> tf.data.Dataset:
        """The batches of this process's replicas, from `first_step` on."""
        first = self._first_local_replica() * self._size
        last = first + self._local_replicas() * self._size
        end = np.iinfo(np.int64).max if self._sampler.steps is None else self._sampler.steps
        steps = tf.data.Dataset.range(first_step, end)
        if isinstance(self._images, ImageFiles):
            batches = self._decoded(self._images, steps, first, last)
        else:
            batches = self._gathered(self._images, steps, first, last)
        return batches.prefetch(AHEAD)

    def _gathered(self, images: tf.Tensor, steps: tf.data.Dataset, first: int, last: int) -> tf.data.Dataset:
        """Those of pixels that lie on the host: positions `first` to `last` of each global batch."""

        @tf.autograph.experimental.do_not_convert
        def gather(indices: tf.Tensor) -> Selected:
            rows = tf.maximum(indices, 0)
            return tf.gather(images, rows), tf.gather(self._labels, rows), indices

        indices = from_python(
            steps, lambda step: (self._sampler.batch(int(step))[first:last],), tf.TensorSpec((last - first,), tf.int64)
        )
        return indices.map(gather)

    def _decoded(self, files: ImageFiles, steps: tf.data.Dataset, first: int, last: int) -> tf.data.Dataset:
        """Those of files, which are decoded in parallel: positions `first` to `last` of each global batch."""
        cropping, decode = self._cropping, decoder(files, windowed=self._cropping is not None)

        def examples(step: np.int64) -> tuple[Any, ...]:
            indices = self._sampler.batch(int(step))[first:last]
            return step, indices, *encoded(files, np.maximum(indices, 0))

        @tf.autograph.experimental.do_not_convert  # takes seconds, and finds nothing to do
        def cut_batch(step: tf.Tensor, indices: tf.Tensor, *sources: tf.Tensor) -> tuple[tf.Tensor, Cuts]:
            window = partial(cropping.window, cropping.draw(step, first, last - first)) if cropping else None
            return indices, cut(files, window, *sources)

        @tf.autograph.experimental.do_not_convert
        def example(index: tf.Tensor, one: Cuts) -> Selected:
            return decode(one), self._labels[tf.maximum(index, 0)], index

        signature = (tf.TensorSpec((), tf.int64), tf.TensorSpec((last - first,), tf.int64), *ENCODED)
        return (
            from_python(steps, examples, *signature)
            .map(cut_batch)
            .unbatch()
            .map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .batch(last - first, drop_remainder=True)
        )


DataLoader = CachedLoader | StreamLoader


def build_data_loader(
    split: Split,
    sampler: Sampler,
    strategy: tf.distribute.Strategy,
    *,
    mode: str,
    cache_limit_mib: float,
    cropping: FileCropping | None = None,
) -> DataLoader:
    """The data loader of the examples of `split` that `sampler` chooses.

    Args:
        mode: "cached", "stream", or "auto": cached up to `cache_limit_mib` of decoded images, else
            streamed.
        cropping: cuts windows out of the split's files, anew in each step, so that these are streamed.

    Raises:
        UserError: the mode is "cached", and windows are cut out of files.
    """
    if cropping is not None:
        require_streamed("an augmentation that crops", mode)
        mode = "stream"
    if mode == "auto":
        mode = "cached" if len(split) * int(np.prod(split.image_shape)) <= cache_limit_mib * 2**20 else "stream"
    if mode == "stream":
        return StreamLoader(split.images, split.labels, sampler, strategy, cropping)
    images = load_images(split.images) if isinstance(split.images, ImageFiles) else split.images
    return CachedLoader(images, split.labels, sampler, strategy)


def _as_words(images: np.ndarray) -> np.ndarray:
    """(N, H, W, C) uint8 as (N, words) int64, each row filled up with zeros to whole words."""
    rows = images.reshape(len(images), -1)
    missing = -rows.shape[1] % WORD
    if missing:
        rows = np.pad(rows, ((0, 0), (0, missing)))
    return np.ascontiguousarray(rows).view(np.int64)
