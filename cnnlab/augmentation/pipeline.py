"""The operations of a configuration's group `augmentation`, one after the other."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.config.instantiate import instantiate
from cnnlab.data.dataset import Split


class ImageOperation(Protocol):
    """Changes images and leaves their targets alone."""

    def __call__(self, images: tf.Tensor, draws: RandomStream) -> tf.Tensor:
        """uint8 (n, H, W, C) in and out."""


@runtime_checkable
class MixingOperation(Protocol):
    """Makes each image, and its target, from several."""

    def mix(self, images: tf.Tensor, targets: tf.Tensor, draws: RandomStream) -> tuple[tf.Tensor, tf.Tensor]:
        """uint8 (n, H, W, C) images and float32 (n, classes) targets in and out; n is even."""


@runtime_checkable
class AdaptedOperation(Protocol):
    """Needs to know the training images before it changes any."""

    def adapt(self, split: Split) -> None:
        """Compute from the training split, and from nothing else, what the operation needs."""


Operation = ImageOperation | MixingOperation


class Pipeline:
    """Runs operations in order on a replica's share of a batch, in the graph.

    Attributes:
        operations: the operations by name, in the order in which they run.
    """

    def __init__(self, operations: Mapping[str, Operation]):
        self.operations = dict(operations)

    @property
    def mixes(self) -> bool:
        """Whether an operation makes images from pairs of neighbours, so that each replica needs an even number."""
        return any(isinstance(operation, MixingOperation) for operation in self.operations.values())

    def adapt(self, split: Split) -> None:
        """Show the training split to the operations that are fitted to it."""
        for operation in self.operations.values():
            if isinstance(operation, AdaptedOperation):
                operation.adapt(split)

    def __call__(self, images: tf.Tensor, targets: tf.Tensor, draws: RandomStream) -> tuple[tf.Tensor, tf.Tensor]:
        """Run all operations.

        Args:
            images: uint8 (n, H, W, C).
            targets: float32 (n, classes), each row the probabilities of an image's classes.
            draws: the random numbers of this share of the batch.

        Returns:
            Images and targets of the same types, n of each.
        """
        for operation in self.operations.values():
            images, targets = apply_operation(operation, images, targets, draws)
        return images, targets


def apply_operation(
    operation: Operation, images: tf.Tensor, targets: tf.Tensor, draws: RandomStream
) -> tuple[tf.Tensor, tf.Tensor]:
    """Run one operation of a pipeline; types as in `Pipeline.__call__`."""
    if isinstance(operation, MixingOperation):
        return operation.mix(images, targets, draws)
    return operation(images, draws), targets


def build_pipeline(node: DictConfig) -> Pipeline:
    """The pipeline of `config.augmentation`.

    Args:
        node: a mapping from names to operations, each a `_target_` with its arguments. A run of a time when there
            was one operation at most may hold that operation itself.

    Raises:
        UserError: an operation refuses its arguments.
    """
    operations = {node.name: node} if "_target_" in node else {str(name): node[name] for name in node}
    return Pipeline({name: instantiate(operation) for name, operation in operations.items()})
