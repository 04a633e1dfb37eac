"""The operations of a configuration's group `augmentation`, one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.augmentation.other_draws import watch_draws
from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.config.crops import require_crops_first
from cnnlab.config.instantiate import instantiate
from cnnlab.data.data_loader import FileCropping
from cnnlab.data.dataset import ImageFiles, Split
from cnnlab.errors import UserError


class ImageOperation(Protocol):
    """Changes images and leaves their targets alone."""

    def __call__(self, images: tf.Tensor, stream: RandomStream) -> tf.Tensor:
        """uint8 (n, H, W, C) in and out."""


@runtime_checkable
class MixingOperation(Protocol):
    """Makes each image, and its target, from several."""

    def mix(self, images: tf.Tensor, targets: tf.Tensor, stream: RandomStream) -> tuple[tf.Tensor, tf.Tensor]:
        """uint8 (n, H, W, C) images and float32 (n, classes) targets in and out; n is even."""


@runtime_checkable
class AdaptedOperation(Protocol):
    """Needs to know the training images before it changes any."""

    def adapt(self, split: Split) -> None:
        """Compute from the training split, and from nothing else, what the operation needs."""


@runtime_checkable
class CroppingOperation(Protocol):
    """Cuts each image out of the one that is stored, which is larger, or out of its file; comes before all others.

    Its numbers come from a stream apart, so that a window depends on the augmentation's seed, the step, the position
    in the global batch and the size of what it is cut out of, and on nothing else.

    Attributes:
        on_host: whether the data loader does it, while it decodes image files; the operation itself then does nothing.
    """

    on_host: bool

    def source(self, split: Split) -> np.ndarray | ImageFiles:
        """What the images of a split are cut out of; the operation has been adapted to it."""

    def draw(self, stream: RandomStream) -> tf.Tensor:
        """The random numbers of a share of a batch, (n, …)."""

    def window(self, drawn: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """Top, left, height and width (…, 4) of windows in images of `size`, int32 (…, 2), from their numbers."""

    def __call__(self, images: tf.Tensor, stream: RandomStream) -> tf.Tensor:
        """uint8 (n, H, W, C) in, (n, *image_shape) out."""


@runtime_checkable
class StrengthOperation(Protocol):
    """Says by which options it becomes stronger or weaker, for method=augmentation to show.

    Attributes:
        strength: names of its arguments, all numbers.
    """

    strength: Sequence[str]


Operation = ImageOperation | MixingOperation | CroppingOperation


@dataclass(frozen=True)
class HostCropping:
    """The windows of a training's steps, for the data loader: see `FileCropping`.

    Attributes:
        operation: chooses them.
        seed: the augmentation's.
        batch_size: images in a step of all replicas.
    """

    operation: CroppingOperation
    seed: int
    batch_size: int

    def draw(self, step: tf.Tensor, first: int, count: int) -> tf.Tensor:
        seed = tf.stack([self.seed, tf.cast(step, tf.int32)])
        nothing = tf.zeros(count, tf.int64)
        return self.operation.draw(RandomStream(seed, self.batch_size, first, count, nothing, 0))

    def window(self, drawn: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        return self.operation.window(drawn, size)


class Pipeline:
    """Runs operations in order on a replica's share of a batch, in the graph.

    Attributes:
        operations: the operations by name, in the order in which they run.

    Raises:
        UserError: an operation that cuts out images is not the first.
    """

    def __init__(self, operations: Mapping[str, Operation]):
        self.operations = dict(operations)
        crops = [name for name, operation in self.operations.items() if isinstance(operation, CroppingOperation)]
        require_crops_first([*self.operations], crops)

    @property
    def cropping(self) -> CroppingOperation | None:
        """The operation that cuts out the images, if there is one."""
        first = next(iter(self.operations.values()), None)
        return first if isinstance(first, CroppingOperation) else None

    @property
    def mixing(self) -> str | None:
        """The name of an operation that mixes targets, if there is one."""
        names = (name for name, operation in self.operations.items() if isinstance(operation, MixingOperation))
        return next(names, None)

    def before(self, split: Split) -> Split:
        """A split, to which the pipeline is adapted, with the images that it is to be given, which may be larger."""
        return replace(split, images=self.cropping.source(split), squares=None) if self.cropping else split

    def host_cropping(self, seed: int, batch_size: int) -> FileCropping | None:
        """What the data loader cuts out, where it does."""
        if self.cropping is None or not self.cropping.on_host:
            return None
        return HostCropping(self.cropping, seed, batch_size)

    def require_pairs(self, images: int, key: str, replicas: int = 1) -> None:
        """Check that each replica gets whole pairs of neighbours, if an operation mixes them.

        Args:
            images: in a batch of all replicas.
            key: of the configuration, that says how many images there are.

        Raises:
            UserError: it does not.
        """
        for name, operation in self.operations.items():
            if isinstance(operation, MixingOperation) and images % (2 * replicas):
                where = f" on each of {replicas} replicas" if replicas > 1 else ""
                raise UserError(
                    f"{key}={images}: {name} mixes images in pairs{where}; use a multiple of {2 * replicas}"
                )

    def adapt(self, split: Split) -> None:
        """Show the training split to the operations that are fitted to it."""
        for operation in self.operations.values():
            if isinstance(operation, AdaptedOperation):
                operation.adapt(split)

    def __call__(self, images: tf.Tensor, targets: tf.Tensor, stream: RandomStream) -> tuple[tf.Tensor, tf.Tensor]:
        """Run all operations.

        Args:
            images: uint8 (n, H, W, C).
            targets: float32 (n, classes), each row the probabilities of an image's classes.
            stream: the random numbers of this share of the batch.

        Returns:
            Images and targets of the same types, n of each.
        """
        for operation in self.operations.values():
            images, targets = apply_operation(operation, images, targets, stream)
        return images, targets


def apply_operation(
    operation: Operation, images: tf.Tensor, targets: tf.Tensor, stream: RandomStream
) -> tuple[tf.Tensor, tf.Tensor]:
    """Run one operation of a pipeline; types as in `Pipeline.__call__`.

    Raises:
        UserError: it returns something else than such images and targets, or draws what would be the same in all steps.
    """
    with watch_draws(_name(operation)):
        return _apply(operation, images, targets, stream)


def _apply(
    operation: Operation, images: tf.Tensor, targets: tf.Tensor, stream: RandomStream
) -> tuple[tf.Tensor, tf.Tensor]:
    if not isinstance(operation, MixingOperation):
        changed = operation(images, stream)
        _require_like(changed, images, operation, "images", same_size=not isinstance(operation, CroppingOperation))
        return changed, targets
    mixed = operation.mix(images, targets, stream)
    if not isinstance(mixed, tuple) or len(mixed) != 2:
        raise UserError(
            f"augmentation {_name(operation)}: mix returns {_described(mixed)}; expected images and targets"
        )
    for returned, given, what in zip(mixed, (images, targets), ("images", "targets"), strict=True):
        _require_like(returned, given, operation, what)
    return mixed


def _require_like(returned: Any, given: tf.Tensor, operation: Operation, what: str, *, same_size: bool = True) -> None:
    """Check that an operation, which may be of the user's own, returns the type and the shape that it was given.

    Numbers of another type or range would go through all that follows, and train on another picture than is meant.
    """
    wanted = given.shape if same_size else (given.shape[0], None, None, given.shape[-1])
    is_like = tf.is_tensor(returned) and returned.dtype == given.dtype and returned.shape.is_compatible_with(wanted)
    if not is_like:
        is_float = given.dtype == tf.uint8 and tf.is_tensor(returned) and returned.dtype.is_floating
        hint = "; of x from 0 to 255, tf.cast(tf.clip_by_value(tf.round(x), 0, 255), tf.uint8)" if is_float else ""
        raise UserError(
            f"augmentation {_name(operation)}: returns {_described(returned)} for {what} of {_described(given)}; "
            f"expected the same type and shape{hint}"
        )


def _name(operation: Operation) -> str:
    return f"{type(operation).__module__}.{type(operation).__qualname__}"


def _described(value: Any) -> str:
    return f"{value.dtype.name} {value.shape}" if tf.is_tensor(value) else type(value).__name__


def build_pipeline(node: DictConfig) -> Pipeline:
    """The pipeline of `config.augmentation`.

    Args:
        node: a mapping from names to operations, each a `_target_` with its arguments.

    Raises:
        UserError: an operation refuses its arguments.
    """
    return Pipeline({str(name): instantiate(operation) for name, operation in node.items()})
