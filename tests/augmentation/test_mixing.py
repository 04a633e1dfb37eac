"""mixup and CutMix: shares of images and of targets agree, and follow the Beta distribution."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from cnnlab.augmentation.mixing import CutMix, Mixup

COUNT = 4000


def black_and_white(count: int = COUNT, shape=(16, 20, 1)) -> tuple[np.ndarray, np.ndarray]:
    """Black images of class 0 and white ones of class 1, by turns."""
    labels = np.arange(count) % 2
    images = np.broadcast_to((255 * labels).astype(np.uint8)[:, None, None, None], (count, *shape))
    return images, np.eye(2, dtype=np.float32)[labels]


def mix(operation, make_stream, count: int = COUNT, **kwargs) -> tuple[np.ndarray, np.ndarray]:
    images, targets = operation.mix(*map(tf.constant, black_and_white(count, **kwargs)), make_stream(count))
    assert images.dtype == tf.uint8
    return images.numpy(), targets.numpy()


def own_share(targets: np.ndarray) -> np.ndarray:
    return targets[np.arange(len(targets)), np.arange(len(targets)) % 2]


@pytest.mark.parametrize("operation", [Mixup(1.0), CutMix(1.0)], ids=["mixup", "cutmix"])
def test_the_share_of_the_target_is_the_share_of_the_image(operation, make_stream):
    images, targets = mix(operation, make_stream)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)) / 255, targets[:, 1], atol=0.503 / 255)


@pytest.mark.parametrize("operation", [Mixup(1.0), CutMix(1.0)], ids=["mixup", "cutmix"])
def test_the_partner_is_the_neighbour(operation, make_stream):
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    mixed, targets = operation.mix(tf.constant(images), tf.eye(64), make_stream(64))
    targets, partners = targets.numpy(), np.arange(64) ^ 1
    np.testing.assert_allclose(targets[np.arange(64), np.arange(64)] + targets[np.arange(64), partners], 1, rtol=1e-6)
    lowest, highest = np.minimum(images, images[partners]), np.maximum(images, images[partners])
    assert ((lowest <= mixed.numpy()) & (mixed.numpy() <= highest)).all()


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_shares_follow_the_beta_distribution(alpha, make_stream):
    _, targets = mix(Mixup(alpha), make_stream)
    assert stats.kstest(own_share(targets), stats.beta(alpha, alpha).cdf).statistic < 0.03


def test_mixup_blends_every_pixel_alike(make_stream):
    images, _ = mix(Mixup(1.0), make_stream)
    assert (np.ptp(images, axis=(1, 2, 3)) == 0).all()


def test_cutmix_pastes_one_rectangle_of_the_images_shape(make_stream):
    images, _ = mix(CutMix(1.0), make_stream)
    foreign = images[..., 0] != black_and_white()[0][..., 0]
    heights, widths = foreign.any(axis=2).sum(axis=1), foreign.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(foreign.sum(axis=(1, 2)), heights * widths)
    inside = ~(foreign[:, [0, -1]].any(axis=(1, 2)) | foreign[:, :, [0, -1]].any(axis=(1, 2))) & (heights > 0)
    np.testing.assert_allclose(heights[inside] / 16, widths[inside] / 20, atol=2 / 16 + 1e-9)


def test_cutmix_centres_lie_everywhere(make_stream):
    images, _ = mix(CutMix(1.0), make_stream)
    foreign = (images != black_and_white()[0])[..., 0].mean(axis=0)
    assert foreign.min() > 0.05  # in the corners


@pytest.mark.parametrize("operation", [Mixup, CutMix])
def test_some_images_may_stay_whole(operation, make_stream):
    _, targets = mix(operation(1.0, probability=0.25), make_stream)
    assert (own_share(targets) < 1).mean() == pytest.approx(0.25, abs=0.04)
