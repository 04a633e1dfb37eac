"""The operations of a configuration's group `augmentation`, one after the other."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.config.instantiate import instantiate
from cnnlab.data.dataset import Split
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


Operation = ImageOperation | MixingOperation


class Pipeline:
    """Runs operations in order on a replica's share of a batch, in the graph.

    Attributes:
        operations: the operations by name, in the order in which they run.
    """

    def __init__(self, operations: Mapping[str, Operation]):
        self.operations = dict(operations)

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
    """Run one operation of a pipeline; types as in `Pipeline.__call__`."""
    if isinstance(operation, MixingOperation):
        return operation.mix(images, targets, stream)
    return operation(images, stream), targets


def build_pipeline(node: DictConfig) -> Pipeline:
    """The pipeline of `config.augmentation`.

    Args:
        node: a mapping from names to operations, each a `_target_` with its arguments.

    Raises:
        UserError: an operation refuses its arguments.
    """
    return Pipeline({str(name): instantiate(operation) for name, operation in node.items()})
