"""Random numbers and operations as a training step would have them."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import tensorflow as tf
from hydra import compose, initialize_config_module

from cnnlab.augmentation.pipeline import Pipeline, build_pipeline
from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.config.resolvers import register_resolvers


@pytest.fixture(scope="session")
def make_stream() -> Callable[..., RandomStream]:
    """`make_stream(count)`: those of a whole batch; `start` and `size` choose a share of it."""

    def make(
        count: int,
        start: tf.Tensor | int = 0,
        size: int | None = None,
        seed: tf.Tensor | Sequence[int] = (5, 2),
        indices: Sequence[int] | None = None,
        passes: int = 0,
    ) -> RandomStream:
        size = count if size is None else size
        positions = tf.constant(np.arange(count) if indices is None else indices, tf.int64)
        return RandomStream(
            tf.convert_to_tensor(seed, tf.int32), count, start, size, positions[start : start + size], passes
        )

    return make


@pytest.fixture(scope="session")
def build() -> Callable[..., Pipeline]:
    """`build(*overrides, image_shape)`: the pipeline that the command line's overrides describe."""

    register_resolvers()

    def make(*overrides: str, image_shape: Sequence[int] = (8, 8, 3)) -> Pipeline:
        with initialize_config_module("cnnlab.conf", version_base="1.3"):
            shape = ",".join(map(str, image_shape))
            config = compose("train", overrides=[*overrides, f"dataset.image_shape=[{shape}]"])
        return build_pipeline(config.augmentation)

    return make
