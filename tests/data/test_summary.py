"""What is told of a dataset's splits."""

import numpy as np
import pytest

from cnnlab.data.dataset import Dataset, Split
from cnnlab.data.summary import tell_imbalance


def of_counts(*counts: int) -> Dataset:
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    images = np.zeros((len(labels), 1, 1, 1), np.uint8)
    return Dataset("photos", (1, 1, 1), tuple("abc"[: len(counts)]), {"train": Split(images, labels)})


def test_a_class_with_more_than_ten_times_the_images_of_another_gets_a_hint(caplog):
    tell_imbalance(of_counts(4, 30, 41))
    assert caplog.messages == [
        "photos: the classes are very unequal, from 4 (a) to 41 (c) images; dataset.sampling=balanced draws them "
        "alike, loss.class_weight=balanced weighs them"
    ]


@pytest.mark.parametrize("counts", [(4, 40), (5, 5, 0)])
def test_less_than_that_needs_no_word(caplog, counts):
    tell_imbalance(of_counts(*counts))
    assert not caplog.messages
