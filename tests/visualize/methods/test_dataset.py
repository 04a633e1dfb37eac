"""`cnnlab visualize method=dataset`: images, counts and means."""

import csv

import numpy as np
from PIL import Image

from cnnlab import cli
from cnnlab.data.dataset import Split
from cnnlab.visualize.methods.dataset import mean_images


def draw(tmp_path, *overrides):
    assert cli.main(["visualize", "method=dataset", f"hydra.run.dir={tmp_path}", *overrides]) == 0
    return tmp_path / "dataset"


def test_it_needs_no_network(tmp_path, capsys):
    folder = draw(tmp_path, "method.images=11", "method.seed=4")
    assert capsys.readouterr().out == f"{folder}\n"
    for name in ("images.png", "classes.png", "mean.png"):
        with Image.open(folder / name) as picture:
            assert (picture.text["Dataset"], picture.text["Seed"]) == ("digits", "4")
    with np.load(folder / "dataset.npz") as arrays:
        assert len(arrays["images"]) == len(arrays["labels"]) == 11
        assert arrays["mean"].shape == arrays["images"].shape[1:] == arrays["class_means"].shape[1:]


def test_every_image_of_every_split_is_counted(tmp_path):
    with (draw(tmp_path, "method.images=2") / "classes.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["class", "train", "validation", "test"]
    assert [row[0] for row in rows] == list("0123456789")
    assert sum(int(count) for row in rows for count in row[1:]) == 1797


def test_means_are_those_of_numpy_over_arrays_and_files(tmp_path, files_of):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 4, 5, 3), dtype=np.uint8)
    labels = rng.integers(0, 3, 300).astype(np.int32)
    paths = []
    for number, image in enumerate(images):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(image).save(paths[-1])
    for split in (Split(images, labels), Split(files_of(paths, (4, 5, 3)), labels)):
        mean, of_classes = mean_images(split, 4)
        np.testing.assert_allclose(mean, images.mean(axis=0), rtol=1e-5)
        for label in range(3):
            np.testing.assert_allclose(of_classes[label], images[labels == label].mean(axis=0), rtol=1e-5)
        assert np.isnan(of_classes[3]).all()


def test_of_many_classes_the_means_of_the_first_are_drawn_and_it_is_told(tmp_path, drawn):
    labels = np.arange(70).repeat(4)
    images = np.zeros((280, 3, 3, 1), np.uint8)
    np.savez(tmp_path / "many.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    folder = draw(tmp_path, "dataset=arrays", f"dataset.root={tmp_path / 'many.npz'}", "input_shape=[3,3,1]")
    with Image.open(folder / "mean.png") as picture:
        assert picture.text["Title"].endswith("and of the first 60 of 70 classes")
    assert sum(bool(axes.images) for axes in drawn[-1].axes) == 1 + 60
    with Image.open(folder / "classes.png") as picture:  # without names, which could not be read in a page's height
        assert picture.height < 2500
    with np.load(folder / "dataset.npz") as arrays:
        assert arrays["class_means"].shape == (70, 3, 3, 1)
        assert arrays["class_means"].dtype == np.float32
