"""The files that a run began with, when it is resumed."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from PIL import Image

from cnnlab.data.file_list import restore_files, write_file_list
from cnnlab.data.load import load_dataset
from cnnlab.errors import UserError


def read(folder: Path):
    keys = {"name": "photos", "root": str(folder), "image_shape": [8, 8, 3], "num_classes": None, "validation": 0.25}
    target = {"_target_": "cnnlab.data.image_folder.image_folder"}
    return load_dataset(OmegaConf.create(target | keys), 0)


@pytest.fixture
def folder(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(8):
            path = tmp_path / "photos" / name / f"{number}, a.jpg"
            Image.fromarray(rng.integers(0, 256, (10, 12, 3), np.uint8)).save(path)
    return tmp_path / "photos"


@pytest.fixture
def listed(folder, tmp_path) -> Path:
    write_file_list(tmp_path / "files.csv", read(folder))
    return tmp_path / "files.csv"


def names(dataset) -> dict[str, list[str]]:
    return {name: [Path(path).name for path in split.images.paths] for name, split in dataset.splits.items()}


def refusal(listed: Path, folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        restore_files(listed, read(folder), "resume=RUN")
    return str(caught.value)


def test_it_is_a_table_for_people_too(listed):
    table = pd.read_csv(listed)
    assert list(table) == ["split", "path", "class", "size", "orientation"]
    assert dict(table["split"].value_counts()) == {"train": 12, "validation": 4}
    assert set(table["path"].str.partition("/")[0]) == {"cat", "dog"}


def test_new_files_change_no_split(listed, folder, caplog):
    before = names(read(folder))
    for number in range(4):
        shutil.copy(folder / "cat" / f"{number}, a.jpg", folder / "cat" / f"0{number}.jpg")
    grown = read(folder)
    assert names(grown) != before
    assert names(restore_files(listed, grown, "resume=RUN")) == before
    assert "resume=RUN: 4 files that are new since the run began are left out" in caplog.text


def test_the_folder_may_move(listed, folder):
    before = names(read(folder))
    moved = shutil.move(folder, folder.with_name("elsewhere"))
    restored = restore_files(listed, read(moved), "resume=RUN")
    assert names(restored) == before
    assert all(path.startswith(str(moved)) for path in restored.splits["train"].images.paths)


def test_a_file_that_is_gone_is_named(listed, folder):
    (folder / "cat" / "3, a.jpg").unlink()
    (folder / "dog" / "3, a.jpg").unlink()
    line = refusal(listed, folder)
    assert line.startswith("resume=RUN: cat/3, a.jpg is gone since the run began, and 1 more file; restore it")


def test_a_file_that_was_damaged_is_named_with_its_damage(listed, folder):
    path = folder / "dog" / "1, a.jpg"
    path.write_bytes(path.read_bytes()[:300])
    assert "dog/1, a.jpg cannot be read any more (damaged: " in refusal(listed, folder)


def test_a_file_of_another_size_is_named(listed, folder):
    path = folder / "dog" / "1, a.jpg"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"\0")
    assert f"dog/1, a.jpg has changed its size (then {size}, now {size + 1})" in refusal(listed, folder)


def test_a_file_of_another_weight_is_named(folder, tmp_path):
    def weighted(*weights: float):
        dataset = read(folder)
        given = {
            name: replace(split, weights=np.resize(np.array(weights, np.float32), len(split)))
            for name, split in dataset.splits.items()
        }
        return replace(dataset, splits=given)

    write_file_list(tmp_path / "files.csv", weighted(0.1, 2))
    restored = restore_files(tmp_path / "files.csv", weighted(0.1, 2), "resume=RUN")
    np.testing.assert_array_equal(restored.splits["train"].weights, weighted(0.1, 2).splits["train"].weights)
    for changed in (weighted(0.1, 3), read(folder)):
        with pytest.raises(UserError, match=r"has changed its weight \(then .*, now .*\) since the run began"):
            restore_files(tmp_path / "files.csv", changed, "resume=RUN")


def test_a_file_that_was_turned_is_named(listed, folder):
    path = folder / "dog" / "1, a.jpg"
    size, exif = path.stat().st_size, Image.Exif()
    exif[0x0112] = 6
    Image.open(path).save(path, exif=exif, quality=10)
    assert path.stat().st_size < size
    path.write_bytes(path.read_bytes() + bytes(size - path.stat().st_size))
    assert "dog/1, a.jpg has changed its orientation (then 1, now 6)" in refusal(listed, folder)
