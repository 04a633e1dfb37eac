"""Drawing a few examples."""

import keras
import numpy as np

from cnnlab.data.dataset import Split
from cnnlab.data.sample import sample

IMAGES = np.arange(50, dtype=np.uint8).reshape(50, 1, 1, 1) * np.ones((1, 4, 5, 3), np.uint8)
SPLIT = Split(IMAGES, np.arange(50, dtype=np.int32))


def test_examples_are_drawn_once_with_their_labels():
    drawn = sample(SPLIT, 20, seed=1)
    assert len(np.unique(drawn.labels)) == 20
    np.testing.assert_array_equal(drawn.images, IMAGES[drawn.labels])


def test_a_seed_repeats_and_another_differs():
    first, again, other = (sample(SPLIT, 20, seed).labels.tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_of_a_small_split_all_are_taken():
    np.testing.assert_array_equal(sample(SPLIT, 51, seed=1).labels, SPLIT.labels)


def test_files_are_decoded(tmp_path, files_of):
    paths = [tmp_path / f"{number}.png" for number in range(50)]
    for path, image in zip(paths, IMAGES, strict=True):
        keras.utils.save_img(path, image, scale=False)
    files = Split(files_of(paths, (4, 5, 3)), SPLIT.labels)
    drawn = sample(files, 8, seed=1)
    np.testing.assert_array_equal(drawn.images, sample(SPLIT, 8, seed=1).images)
