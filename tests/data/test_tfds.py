"""Datasets of TensorFlow Datasets, by a builder that is made here."""

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnlab import cli
from cnnlab.data import tfds as reader
from cnnlab.data.decode import load_images
from cnnlab.data.tfds import tfds
from cnnlab.errors import UserError

tensorflow_datasets = pytest.importorskip("tensorflow_datasets")

CLASSES = ["dark", "bright"]


def encode(label: int, number: int) -> bytes:
    """Every seventh as WebP, one of the others cut off."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 120, (20 + number % 5, 24, 3)) + 120 * label
    file = BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "WEBP" if number % 7 == 6 else "JPEG", lossless=True)
    return file.getvalue()[:200] if number == 3 else file.getvalue()


class Brightness(tensorflow_datasets.core.GeneratorBasedBuilder):
    """Dark and bright noise."""

    VERSION = tensorflow_datasets.core.Version("1.0.0")

    def _info(self) -> "tensorflow_datasets.core.DatasetInfo":
        features = tensorflow_datasets.features
        return tensorflow_datasets.core.DatasetInfo(
            builder=self,
            features=features.FeaturesDict(
                {
                    "photo": features.Image(shape=(None, None, 3)),
                    "mask": features.Image(shape=(None, None, 3)),
                    "what": features.ClassLabel(names=CLASSES),
                }
            ),
            supervised_keys=("photo", "what"),
        )

    def _split_generators(self, manager: object) -> dict[str, Iterator]:
        return {
            "train": self._generate_examples(0, 40),
            "val": self._generate_examples(40, 52),
            "extra": self._generate_examples(52, 54),
        }

    def _generate_examples(self, first: int, last: int) -> Iterator:
        for number in range(first, last):
            photo, mask = BytesIO(encode(number % 2, number)), BytesIO()
            Image.new("RGB", (8, 8), (number,) * 3).save(mask, "PNG")
            yield number, {"photo": photo, "mask": BytesIO(mask.getvalue()), "what": number % 2}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tensorflow_datasets")
    Brightness(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder


@pytest.fixture
def read(root):
    return lambda **options: tfds(name="brightness", root=str(root), image_shape=(16, 16, 3), **options)


def test_splits_classes_and_damage_are_told(read, caplog):
    caplog.set_level("INFO")
    published = read()
    assert published.class_names == ("dark", "bright")
    assert {name: len(split) for name, split in published.splits.items()} == {"train": 39, "validation": 12}
    (fault,) = published.skipped["train"].items()
    assert fault[0].startswith("brightness/1.0.0/train#")
    assert fault[1].startswith("damaged: ")
    assert "the split extra is not used" in caplog.text
    assert "brightness, train: 5 converted to 8-bit grey or RGB (5 WEBP RGB)" in caplog.text


def test_an_image_is_decoded_as_a_file_of_its_bytes_would_be(read):
    for split in read().splits.values():
        means = load_images(split.images).mean((1, 2, 3))
        assert ((means > 120) == (split.labels == 1)).all()
        assert (means[split.labels == 0].max(), means[split.labels == 1].min()) == pytest.approx((60, 180), abs=8)


def test_records_of_a_split_that_is_not_used_are_not_read(read, monkeypatch):
    looked_at, check = [], reader._check
    monkeypatch.setattr(reader, "_check", lambda *given: looked_at.append(given[1]) or check(*given))
    read()
    assert sorted(looked_at) == ["train", "val"]


def test_records_are_read_once_to_be_checked(read, monkeypatch):
    first = read()
    monkeypatch.setattr(reader, "_batches", lambda source: pytest.fail("they were read again"))
    again = read()
    np.testing.assert_array_equal(first.splits["train"].labels, again.splits["train"].labels)
    np.testing.assert_array_equal(first.splits["train"].images.sources, again.splits["train"].images.sources)


def test_the_images_of_another_feature_are_others(read):
    photos, masks = read().splits["validation"].images, read(image="mask", label="what").splits["validation"].images
    assert sorted(load_images(masks)[:, 0, 0, 0]) == [*range(40, 52)]
    np.testing.assert_array_equal(load_images(read().splits["validation"].images), load_images(photos))


def test_where_nothing_can_be_remembered_records_are_read_all_the_same(read, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(read(image="mask").splits["validation"]) == 12
    assert "cannot be written" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": "what"}, r"^dataset\.image=what: is no Image of brightness; it has photo, mask$"),
        ({"label": "photo"}, r"^dataset\.label=photo: is no ClassLabel of brightness; it has what$"),
        ({"on_error": "stop"}, r"^brightness/1\.0\.0/train#\d+: damaged: .*; dataset\.on_error=skip leaves"),
    ],
)
def test_what_does_not_fit_is_named(read, options, message):
    with pytest.raises(UserError, match=message):
        read(**options)


def test_what_is_not_prepared_is_named_with_the_command_that_prepares_it(tmp_path):
    with pytest.raises(UserError, match=r"^dataset\.name=brightness: is not prepared in .*; prepare it once with tfds"):
        tfds(name="brightness", root=str(tmp_path), image_shape=(16, 16, 3))
    with pytest.raises(UserError, match=r"^dataset\.name=brigtness: Dataset brigtness not found"):
        tfds(name="brigtness", root=str(tmp_path), image_shape=(16, 16, 3))


def test_files_without_random_access_are_named_with_the_command_that_converts_them(tmp_path):
    Brightness(data_dir=tmp_path, file_format="tfrecord").download_and_prepare()
    with pytest.raises(UserError, match=r"is in tfrecord files, which have no random access; convert it once with"):
        tfds(name="brightness", root=str(tmp_path), image_shape=(16, 16, 3))


@pytest.mark.slow
def test_streamed_records_train_as_cached_ones_do_and_resume_exactly(train, root, capsys):
    data = ("dataset=tfds", "dataset.name=brightness", f"dataset.root={root}", "input_shape=[16,16,3]")
    options = (*data, "model=mnist_cnn", "trainer.batch_size=8", "trainer.steps_per_epoch=4")
    cached = train(*options, "trainer.steps=8", "trainer.data=cached")
    run = train(*options, "trainer.steps=4", "trainer.data=stream")
    assert cli.main(["train", f"resume={run}", "trainer.steps=8"]) == 0
    pd.testing.assert_frame_equal(pd.read_csv(run / "steps.csv"), pd.read_csv(cached / "steps.csv"), check_exact=True)
    assert cli.main(["eval", f"run={run}", "split=validation"]) == 0
    assert json.loads((run / "eval" / "validation" / "metrics.json").read_text())["examples"] == 12
    listed = pd.read_csv(run / "eval" / "validation" / "predictions.csv")
    assert listed["file"].str.startswith("brightness/1.0.0/val#").all()
    capsys.readouterr()
