"""Max and mean pooling, and where their gradients go."""

import numpy as np
import pytest

from cnnlab.mechanics.pooling import NUMBERS, pool, pooling_gradient

REDUCE = {"max": np.max, "mean": np.mean}


@pytest.mark.parametrize("kind", REDUCE)
def test_blocks_are_summarised_and_the_rest_is_dropped(kind):
    image = np.random.default_rng(0).random((11, 8, 3), np.float32)
    blocks = image[:9, :6].reshape(3, 3, 2, 3, 3)
    np.testing.assert_allclose(pool(image, kind, 3), REDUCE[kind](blocks, axis=(1, 3)), atol=1e-6)


def test_the_sixteen_numbers():
    assert pool(NUMBERS[..., np.newaxis], "max", 2)[..., 0].tolist() == [[7, 2], [2, 9]]
    assert pool(NUMBERS[..., np.newaxis], "mean", 2)[..., 0].tolist() == [[4, 1], [1, 5]]


def test_the_gradient_of_the_maximum_goes_to_the_winner_and_that_of_the_mean_to_all():
    of_max = pooling_gradient(NUMBERS, "max", 2)
    assert NUMBERS[of_max > 0].tolist() == [2, 7, 2, 9]
    assert set(of_max.ravel()) == {0, 1}
    assert (pooling_gradient(NUMBERS, "mean", 2) == 0.25).all()
