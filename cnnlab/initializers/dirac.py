"""Convolutions that start by passing their input on."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from cnnlab.models.layers import REGISTRY


@keras.saving.register_keras_serializable(package=REGISTRY)
class Dirac(keras.initializers.VarianceScaling):
    """The identity in the first filters of a convolution, small random values in the others.

    Filter i, for i < min(in, out), is 1 at its centre (index size // 2) for input channel i and 0 elsewhere; the
    others are uniform within ±1/√fan_in, PyTorch's default. As "94 % on CIFAR-10 in 3.29 seconds on a single
    GPU" (Jordan 2024), section 3.3, has it; after "DiracNets" (Zagoruyko & Komodakis 2017). A matrix, as a dense
    layer has it, is uniform throughout.

    Args:
        seed: of the uniform values; None draws one.

    Returns, when called with a kernel's shape (…, in, out), its values in that shape.
    """

    def __init__(self, seed: int | None = None):
        super().__init__(scale=1 / 3, mode="fan_in", distribution="uniform", seed=seed)

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        values = super().__call__(shape, dtype)
        if len(shape) < 3:
            return values
        channels = np.arange(min(shape[-2:]))
        identity = np.zeros((*shape[:-1], len(channels)), np.float32)
        middle: tuple[Any, ...] = tuple(size // 2 for size in shape[:-2])
        identity[*middle, channels, channels] = 1
        return keras.ops.concatenate([keras.ops.cast(identity, values.dtype), values[..., len(channels) :]], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {"seed": super().get_config()["seed"]}
