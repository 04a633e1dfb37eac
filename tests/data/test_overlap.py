"""Images that two splits have in common."""

import numpy as np

from cnnlab.data.overlap import shared_images, tell_shared

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), np.uint8)


def test_files_are_found_by_their_bytes_whatever_they_are_called(load, write_image, tmp_path, caplog):
    for split, start in (("train", 0), ("validation", 4), ("test", 16)):
        for label in "ab":
            for number in range(start, start + 6):
                write_image(tmp_path / split / label / f"{split}{number}.bmp", IMAGES[number] ^ ord(label))
    dataset = load("image_folder", root=tmp_path)
    shared = shared_images(dataset)
    assert {pair: positions.tolist() for pair, positions in shared.items()} == {("train", "validation"): [0, 1, 6, 7]}
    tell_shared(dataset)
    assert "4 of the 12 images of split validation are in split train too, such as " in caplog.text
    assert str(tmp_path / "validation" / "a" / "validation4.bmp") in caplog.text


def test_files_that_begin_and_end_alike_are_others(load, write_image, tmp_path):
    for number, split in enumerate(("train", "test")):
        for label in "ab":
            pixels = np.zeros((40, 40, 3), np.uint8)
            pixels[20, 20] = ord(label), number, 0
            write_image(tmp_path / split / label / "0.bmp", pixels)
    assert shared_images(load("image_folder", root=tmp_path, validation="none")) == {}


def test_arrays_are_found_too_and_a_copy_may_be_held_out(load, tmp_path):
    images = np.concatenate([IMAGES, IMAGES])
    np.savez(
        tmp_path / "set.npz", x_train=images, y_train=np.arange(48) % 2, x_test=255 - IMAGES, y_test=np.arange(24) % 2
    )
    dataset = load("arrays", root=tmp_path / "set.npz", image_shape=[8, 8, 3], validation=0.25)
    assert [*shared_images(dataset)] == [("train", "validation")]


def test_copies_in_a_table_are_found(load, write_image, tmp_path):
    for number in range(6):
        write_image(tmp_path / f"{number}.bmp", IMAGES[number % 5])
    splits = ("train", "train", "train", "train", "val", "test")
    rows = [f"{number}.bmp,{'ab'[number % 2]},{split}" for number, split in enumerate(splits)]
    (tmp_path / "t.csv").write_text("\n".join(["path,label,split", *rows]))
    shared = shared_images(load("table", root=tmp_path / "t.csv"))
    assert {pair: positions.tolist() for pair, positions in shared.items()} == {("train", "test"): [0]}
