"""Class folders with something wrong in them: one line that names the file or folder, or a counted skip."""

import os
import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from cnnlab.data import data_loader
from cnnlab.data.data_loader import build_data_loader
from cnnlab.data.decode import load_images
from cnnlab.data.image_files import NO_IMAGE
from cnnlab.data.sampler import TrainingSampler
from cnnlab.errors import UserError


@pytest.mark.parametrize("name", ["train/cat/1.png", "train/dog/1.jpg", "validation/cat/1.gif", "validation/dog/1.bmp"])
@pytest.mark.parametrize("kept", [0.1, 0.5])
def test_a_truncated_image_is_found_before_training(load, refusal, truncate, photos, name, kept):
    path = photos / name
    whole = shutil.copy(path, path.with_stem("2"))
    truncate(path, kept)
    dataset, split = load("image_folder", photos), name.split("/")[0]
    assert [*dataset.skipped[split]] == [str(path)]
    assert dataset.skipped[split][str(path)].startswith(("damaged: ", NO_IMAGE))
    assert str(whole) in dataset.splits[split].images.paths
    assert refusal("image_folder", photos, on_error="stop").startswith(f"{path}: {dataset.skipped[split][str(path)]}; ")


def test_an_image_that_is_damaged_after_the_check_is_named_when_it_is_decoded(load, truncate, photos):
    train = load("image_folder", photos).splits["train"]
    truncate(photos / "train/dog/1.jpg", 0.5)
    with pytest.raises(UserError) as caught:
        load_images(train.images)
    assert str(caught.value) == f"{photos / 'train/dog/1.jpg'}: cannot be decoded; replace or remove it"


def test_a_class_without_an_image_is_named(refusal, photos):
    (photos / "train" / "bird").mkdir()
    assert refusal("image_folder", photos).startswith(f"{photos / 'train' / 'bird'}: the class has no ")


def test_a_class_that_holds_only_other_files_is_named(refusal, photos):
    (photos / "train" / "dog" / "1.jpg").write_text("no image")
    assert refusal("image_folder", photos).startswith(f"{photos / 'train' / 'dog'}: the class has no ")


def test_a_class_that_training_does_not_know_is_named(refusal, photos):
    (photos / "validation" / "dog").rename(photos / "validation" / "bird")
    assert refusal("image_folder", photos) == f"{photos}: validation has a class bird that train has not"


def test_a_single_class_is_refused(refusal, photos):
    shutil.rmtree(photos / "train" / "dog")
    assert "found only the class cat" in refusal("image_folder", photos / "train")


def test_split_folders_without_train_are_refused(refusal, photos):
    (photos / "train").rename(photos / "trian")
    (photos / "test" / "cat").mkdir(parents=True)
    assert refusal("image_folder", photos).startswith(
        f"{photos}: validation/ and test/ look like splits, but there is no train/ with class folders"
    )


def test_a_split_without_an_image_is_refused(refusal, photos):
    for name in ("cat/1.gif", "dog/1.bmp"):
        (photos / "validation" / name).unlink()
    assert refusal("image_folder", photos).startswith(f"{photos / 'validation'}: holds no ")


def test_images_without_class_folders_are_counted(refusal, photos):
    assert "found images (1), but no class folders; expected CLASS/" in refusal(
        "image_folder", photos / "train" / "cat"
    )


def test_the_folder_above_the_right_one_leads_to_it(refusal, photos):
    (photos / "train").rename(photos.parent / "unpacked")
    shutil.rmtree(photos)
    (photos.parent / "unpacked").rename(photos)
    message = refusal("image_folder", photos.parent)
    assert message.endswith(f"found only the class photos; expected CLASS/… or train/CLASS/… for two classes or more; "
                            f"its classes may be those in dataset.root={photos}")  # fmt: skip


def test_a_file_that_is_no_image_is_refused_where_errors_stop(load, refusal, photos):
    (photos / "train" / "cat" / "2.jpg").write_text("no image")
    assert len(load("image_folder", photos).splits["train"]) == 2
    message = refusal("image_folder", photos, on_error="stop")
    assert message.startswith(f"{photos / 'train' / 'cat' / '2.jpg'}: no JPEG, PNG, ")
    assert "dataset.on_error=skip" in message


def test_a_dangling_link_is_refused_where_errors_stop(refusal, photos):
    (photos / "train" / "cat" / "2.jpg").symlink_to(photos / "gone.jpg")
    message = refusal("image_folder", photos, on_error="stop")
    assert message.startswith(f"{photos / 'train' / 'cat' / '2.jpg'}: broken link; ")


def test_a_file_name_that_is_not_utf8_is_named(refusal, photos):
    os.rename(os.fsencode(photos / "train" / "cat" / "1.png"), os.fsencode(photos / "train" / "cat") + b"/\xff.png")  # noqa: PTH104
    message = refusal("image_folder", photos)
    assert "\\xff.png" in message
    assert "the file name is not UTF-8; rename it" in message


def test_the_name_of_a_file_that_is_no_image_may_be_anything(load, photos):
    Path(os.fsdecode(os.fsencode(photos / "train" / "cat") + b"/\xff.txt")).write_text("no image")
    assert len(load("image_folder", photos).splits["train"]) == 2


def test_a_link_to_itself_is_one_that_is_broken(load, photos):
    (photos / "train" / "cat" / "2.jpg").symlink_to("2.jpg")
    assert [*load("image_folder", photos).skipped["train"].values()] == ["broken link"]


def test_an_image_that_is_damaged_while_it_is_streamed_is_named(load, truncate, photos, monkeypatch):
    monkeypatch.setattr(data_loader, "PAUSES", ())
    train = load("image_folder", photos).splits["train"]
    sampler = TrainingSampler(len(train), 2, seed=0)
    loader = build_data_loader(
        train, sampler, tf.distribute.OneDeviceStrategy("CPU:0"), mode="stream", cache_limit_mib=0
    )
    truncate(photos / "train/dog/1.jpg", 0.5)
    with pytest.raises(UserError, match=r"1\.jpg: cannot be decoded \(step 4\)$"):
        loader.inputs(3, 1)


def test_a_file_where_a_folder_should_be_is_refused(refusal, archive, tmp_path):
    assert refusal("image_folder", archive) == f"{archive}: is no folder; such files are read by dataset=arrays"
    table = tmp_path / "images.csv"
    table.touch()
    assert refusal("image_folder", table) == f"{table}: is no folder; such files are read by dataset=table"


def test_a_folder_where_a_file_should_be_is_refused(refusal, photos):
    assert refusal("arrays", photos) == f"{photos}: is a folder, no .npz file; class folders: dataset=image_folder"
