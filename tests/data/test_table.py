"""Tables of images: what of a CSV or Parquet file becomes a dataset."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnlab.data.image_files import NO_IMAGE
from cnnlab.data.load import load_split
from cnnlab.data.table_file import read_table
from cnnlab.errors import UserError

NEEDED = {"dataset.path_column": "path", "dataset.label_column": "label"}


@pytest.fixture
def images(tmp_path) -> Path:
    """Images 0.png to 9.png, each of its own, in a folder that a table may lie in."""
    for number in range(10):
        Image.fromarray(np.full((8, 8, 3), 20 * number, np.uint8)).save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.fixture
def table(images, load):
    """`table(text, **overrides)` writes images.csv beside the images and reads it as the command line does."""

    def table(text: str, written: str = "utf-8", **overrides):
        (images / "images.csv").write_text(text, written)
        return load("table", root=images / "images.csv", **{"validation": "none", **overrides})

    return table


def names(split) -> list[str]:
    return [Path(path).name for path in split.images.paths]


def rows(*labels: str, head: str = "path,label") -> str:
    """A table of 0.png, 1.png, … with these labels, or labels and further values."""
    return "\n".join([head, *(f"{number}.png,{label}" for number, label in enumerate(labels))])


def told(caplog) -> str:
    return "\n".join(record.getMessage() for record in caplog.records)


def test_classes_are_the_sorted_labels_and_images_are_sorted_by_path(table):
    dataset = table("path,label\n2.png,dog\n0.png,dog\n1.png,cat\n")
    assert dataset.class_names == ("cat", "dog")
    assert names(dataset.splits["train"]) == ["0.png", "1.png", "2.png"]
    assert dataset.splits["train"].labels.tolist() == [1, 0, 1]
    assert dataset.splits["train"].labels.dtype == np.int32
    assert dataset.name == "images"


def test_integers_are_sorted_by_number(table):
    assert table(rows("10", "9", "-1")).class_names == ("-1", "9", "10")
    assert table(rows("10", "--9")).class_names == ("--9", "10")  # no number


def test_labels_are_text_even_where_they_look_like_a_missing_value(table):
    assert table(rows("NA", "null", "nan", "1.50")).class_names == ("1.50", "NA", "nan", "null")


def test_splits_go_by_the_usual_names_and_what_is_renamed_is_told(table, caplog):
    with caplog.at_level(logging.INFO):
        dataset = table(
            rows("a,Train", "b,train", "a,VAL", "b,testing", head="path,label,split"), validation="published"
        )
    assert {name: names(split) for name, split in dataset.splits.items()} == {
        "train": ["0.png", "1.png"],
        "validation": ["2.png"],
        "test": ["3.png"],
    }
    assert "images.csv: Train is used as train, VAL is used as validation, testing is used as test" in told(caplog)


def test_a_class_that_validation_lacks_is_told_and_training_goes_on(table, caplog):
    with caplog.at_level(logging.INFO):
        table(rows("a,train", "b,train", "a,val", head="path,label,split"), validation="auto")
    assert "images, validation: 1 image of 1 class; none of b" in told(caplog)


def test_columns_have_the_names_that_the_configuration_gives_them(table, caplog):
    text = "file,kind,part,patient,cost,age\n0.png,a,train,x,2,50\n1.png,b,train,y,1,60\n2.png,a,test,z,1,70\n"
    keys = {"path": "file", "label": "kind", "split": "part", "group": "patient", "weight": "cost"}
    with caplog.at_level(logging.INFO):
        dataset = table(text, **{f"{key}_column": name for key, name in keys.items()})
    train = dataset.splits["train"]
    assert (train.groups.tolist(), train.weights.tolist()) == (["x", "y"], [2.0, 1.0])
    used = "file as path, kind as label, part as split, patient as group, cost as weight; not used: age"
    assert f"images.csv: 3 rows; columns used: {used}" in told(caplog)


def test_optional_columns_are_taken_by_their_names_unless_null_says_not(table, caplog):
    text = rows("a,x,2", "b,y,1", head="path,label,Group,Weight")
    with caplog.at_level(logging.INFO):
        train = table(text).splits["train"]
    assert (train.groups.tolist(), train.weights.tolist()) == (["x", "y"], [2.0, 1.0])
    assert "weights of 1 to 2 count in the training loss" in told(caplog)
    train = table(text, group_column=None, weight_column=None).splits["train"]
    assert train.groups is None
    assert train.weights is None


def test_what_a_spreadsheet_makes_of_a_table_is_read_and_told(table, images, caplog):
    (images / "deep").mkdir()
    (images / "9.png").rename(images / "deep" / "9.png")
    text = "sep=;\r\nPath;Label;Weight;\r\ndeep\\9.png;a ;0,5;\r\n0.png;b;1;\r\n;;;\r\n1.png;a;1;\r\n"
    with caplog.at_level(logging.INFO):
        dataset = table(text, written="utf-8-sig")
    assert dataset.class_names == ("a", "b")
    assert names(dataset.splits["train"]) == ["0.png", "1.png", "9.png"]
    assert dataset.splits["train"].weights.tolist() == [1.0, 1.0, 0.5]
    for line in (
        "empty rows are left out (1)",
        "blanks around values are dropped (1 Label)",
        "backslashes in paths are read as slashes (1)",
    ):
        assert f"images.csv: {line}" in told(caplog)


@pytest.mark.parametrize(("character", "name"), [(";", "semicolon"), ("\t", "tab"), ("|", "pipe")])
def test_the_delimiter_is_found_in_the_first_row_and_told(table, caplog, character, name):
    text = rows('"x, y"', "b").replace('.png,"', f'.png{character}"').replace(".png,b", f".png{character}b")
    with caplog.at_level(logging.INFO):
        dataset = table(text.replace("path,label", f"path{character}label"))
    assert dataset.class_names == ("b", "x, y")
    assert f"images.csv: its values are taken to be separated by {name}s" in told(caplog)


def test_a_comma_needs_no_word(table, caplog):
    with caplog.at_level(logging.INFO):
        table(rows("a", "b"))
    assert "separated" not in told(caplog)


@pytest.mark.parametrize(
    ("written", "given"), [("utf-8", None), ("utf-8-sig", None), ("utf-16", None), ("cp1252", "cp1252")]
)
def test_encodings(table, written, given):
    assert table(rows("Käse", "Öl"), written, encoding=given).class_names == ("Käse", "Öl")


def test_missing_and_damaged_files_are_skipped_and_counted(table, images, caplog):
    (images / "2.png").write_text("no image")
    dataset = table(rows("a", "b", "a") + "\n77.png,b\n")
    assert names(dataset.splits["train"]) == ["0.png", "1.png"]
    assert {Path(path).name: reason for path, reason in dataset.skipped["train"].items()} == {
        "2.png": NO_IMAGE,
        "77.png": "no such file",
    }
    assert f"images.csv: 1 of its 4 files are not there, such as {images / '77.png'}" in told(caplog)


def test_rows_that_repeat_each_other_count_once_and_are_told(table, caplog):
    dataset = table(rows("a", "b") + "\n./0.png,a\n1.png,b\n")
    assert names(dataset.splits["train"]) == ["0.png", "1.png"]
    assert "images.csv: rows that repeat an earlier one do not count (2, such as row 4)" in told(caplog)


def test_the_order_of_the_rows_changes_no_draw(table):
    lines = [f"{number}.png,{'ab'[number % 2]}" for number in range(10)]
    drawn = [
        names(table("\n".join(["path,label", *order]), validation=0.4).splits["validation"])
        for order in (lines, lines[::-1])
    ]
    assert drawn[0] == drawn[1]


def test_labels_that_differ_by_case_or_leading_zeros_are_told(table, caplog):
    table(rows("cat", "Cat", "01", "1"))
    assert "has several classes of nearly the same name: 'Cat', 'cat'" in told(caplog)
    assert "has several classes of nearly the same name: '01', '1'" in told(caplog)


def test_parquet_says_the_same_as_csv(images, load):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"path": ["1.png", "0.png", "2.png"], "label": [7, 3, 7], "weight": [0.5, None, 1.0]})
    frame.set_index("path").to_parquet(images / "images.parquet")
    dataset = load("table", root=images / "images.parquet", validation="none", weight_column=None)
    assert dataset.class_names == ("3", "7")
    assert names(dataset.splits["train"]) == ["0.png", "1.png", "2.png"]
    with pytest.raises(UserError, match=r"images\.parquet, row 2: the weight is empty$"):
        load("table", root=images / "images.parquet", validation="none")


def test_without_pyarrow_the_extra_is_named(images, monkeypatch):
    monkeypatch.setattr("cnnlab.data.table_file.is_installed", lambda package: False)
    (images / "images.parquet").write_bytes(b"PAR1 and more")
    with pytest.raises(UserError, match=r"pyarrow, which is not installed; pip install 'cnnlab\[parquet\]'$"):
        read_table(images / "images.parquet", NEEDED)


def test_rows_are_counted_as_a_spreadsheet_counts_them(tmp_path):
    (tmp_path / "t.csv").write_text('path,label\n\n"a\nb.png",x\nc.png,y\n')
    assert read_table(tmp_path / "t.csv", NEEDED).index.tolist() == [3, 4]


def test_a_split_of_other_labelled_images_may_be_a_table(images):
    (images / "t.csv").write_text(rows("a,train", "b,test", "b,test", head="path,label,split"))
    found = load_split(images / "t.csv", "test", (8, 8, 3), 2, "crop")
    assert (found.class_names, names(found.splits["test"])) == (("b",), ["1.png", "2.png"])
    with pytest.raises(UserError, match=r"^split=validation: .* has no such split, but train, test$"):
        load_split(images / "t.csv", "validation", (8, 8, 3), 2, "crop")
    (images / "t.csv").write_text(rows("b,test", "b,test", head="path,label,split"))
    assert len(load_split(images / "t.csv", "test", (8, 8, 3), 2, "crop").splits["test"]) == 2
    (images / "t.csv").write_text(rows("a", "b"))
    assert len(load_split(images / "t.csv", "test", (8, 8, 3), 2, "crop").splits["test"]) == 2


def test_another_table_is_read_as_that_of_the_training_was(images):
    (images / "t.csv").write_bytes("bild;größe;teil\n0.png;groß;test\n1.png;klein;test\n".encode("cp1252"))
    table_format = {"path_column": "bild", "label_column": "größe", "split_column": "teil", "encoding": "cp1252"}
    found = load_split(images / "t.csv", "test", (8, 8, 3), 2, "crop", table_format=table_format)
    assert found.class_names == ("groß", "klein")
