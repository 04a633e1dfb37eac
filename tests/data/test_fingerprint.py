"""The digest by which a run knows the images that it began with."""

import numpy as np
import pytest

from cnnlab.data.dataset import Dataset, Split
from cnnlab.data.fingerprint import fingerprints

IMAGES = np.random.default_rng(0).integers(0, 256, (1500, 3, 4, 1), np.uint8)
LABELS = np.arange(1500, dtype=np.int32) % 3


def digest(images: np.ndarray, labels: np.ndarray = LABELS) -> str:
    return fingerprints(Dataset("d", (3, 4, 1), ("a", "b", "c"), {"train": Split(images, labels)}))["train"]


def test_the_same_arrays_have_the_same_digest():
    assert digest(IMAGES) == digest(IMAGES.copy(), LABELS.copy())
    assert digest(IMAGES[:1], LABELS[:1]) == digest(IMAGES[:1].copy(), LABELS[:1])


@pytest.mark.parametrize(
    "images", [255 - IMAGES, IMAGES[[1, 0, *range(2, 1500)]], IMAGES[::-1]], ids=["inverted", "swapped", "reversed"]
)
def test_other_pixels_under_the_same_labels_have_another(images):
    assert digest(images) != digest(IMAGES)


def test_other_labels_of_the_same_pixels_have_another():
    assert digest(IMAGES, LABELS[::-1]) != digest(IMAGES)
