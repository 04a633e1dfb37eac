"""Tables with mistakes in them: one line that names the row, the value and the way out."""

import re

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def refused(tmp_path, refusal):
    """`refused(content, **overrides)`: what is said of a table beside the images 0.png to 3.png."""
    for number in range(4):
        Image.fromarray(np.full((4, 4), 60 * number, np.uint8)).save(tmp_path / f"{number}.png")

    def refused(content: str | bytes, **overrides) -> str:
        content = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "t.csv").write_bytes(content)
        return refusal("table", tmp_path / "t.csv", **overrides).removeprefix(str(tmp_path / "t.csv"))

    return refused


GOOD = "path,label\n0.png,a\n1.png,b\n"
MISTAKES = {
    "": r": its first row is empty; it names the columns, such as path, label$",
    "path,label\n": r": holds no rows$",
    "file,label\n0.png,a\n": r": has no column path; name yours with dataset\.path_column=…; columns: file, label$",
    "path,lable\n0.png,a\n": r": has no column label; did you mean lable\?; name yours with dataset\.label_column=…",
    "path,label,Path\n0.png,a,b\n": r": has 2 columns path; rename all but one$",
    "path,label\n0.png,a\n,b\n": r", row 3: the path is empty$",
    "path,label\n0.png,\n1.png,b\n2.png,  \n": r", row 2: the label is empty \(2 such rows\)$",
    "path,label\na, b.png,x\n": r", row 2: has 3 values for 2 columns; put values that contain a comma into quotation",
    'path,label\n"0.png,a\n1.png,b\n': r", line 3: unexpected end of data; is a quotation mark missing\?$",
    "path,label\n0.png,a\n1.png,a\n": r": has the label a only; two classes or more are needed$",
    "path,label,split\n0.png,a,train\n1.png,b,trian\n": r", row 3: trian is no split; use train, validation, test, or ",
    "path,label,split\n0.png,a,train\n1.png,b,\n": r", row 3: the split is empty$",
    "path,label,split\n0.png,a,test\n1.png,b,test\n": r": no row is of the split train; there are test$",
    "path,label,split\n0.png,a,train\n1.png,b,train\n2.png,c,val\n": r", row 4: validation has a class c that train",
    "path,label,weight\n0.png,a,1\n1.png,b,-1\n": r", row 3: -1 is no weight; use numbers of at least 0, or dataset\.w",
    "path,label,weight\n0.png,a,heavy\n1.png,b,1\n": r", row 2: heavy is no weight",
    "path,label,weight\n0.png,a,inf\n1.png,b,1\n": r", row 2: inf is no weight",
    'path,label,weight\n0.png,a,500\n1.png,b,"1,000"\n': r", row 3: the weight 1,000 may be 1000 or 1\.000; write",
    "path,label\n0.png,a\n1.png,b\n0.png,b\n": r"0\.png has several labels: a \(row 2\) and b \(row 4\); keep one of",
    "path,label,split\n0.png,a,train\n1.png,b,train\n0.png,a,test\n": r"0\.png has several splits: train \(row 2\) and",
    "path,label\n8.png,a\n9.png,b\n": r": none of its 2 files is there, such as .*8\.png; paths are relative to the",
    "path,label\nC:\\me\\8.png,a\nC:\\me\\9.png,b\n": r"such as .*C:\\me\\8\.png \(a path of Windows\); paths are",
    "path,label\n0.png,a\n9.png,b\n": r": the class b has no image in the training split .*9\.png: no such file\)$",
    b"path,label\n0.png,K\xe4se\n": r": row 2 is not in UTF-8; save the table as UTF-8, .* dataset\.encoding=cp1252$",
    b"PK\x03\x04...": r": is a spreadsheet or an archive, no table; save it as CSV \(UTF-8\)$",
    b"PAR1...": r": is damaged, or Parquet that cannot be read",
}


@pytest.mark.parametrize("content", MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_in_a_table_is_told_in_one_line(refused, content):
    if content == b"PAR1...":
        pytest.importorskip("pyarrow")
    assert re.search(MISTAKES[content], refused(content, validation="none"))


KEYS = [
    ({"encoding": "utf9"}, r"^dataset\.encoding=utf9: no such encoding"),
    ({"split_column": "fold"}, r": has no column fold; name yours with dataset\.split_column=…"),
    ({"delimiter": "semicolon"}, r": has no column path; .*columns: path,label$"),
    ({"on_error": "stop"}, r"^.*9\.png: no such file; dataset\.on_error=skip leaves such files out$"),
]


@pytest.mark.parametrize(("keys", "message"), KEYS)
def test_a_key_that_does_not_fit_the_table_is_told(refused, keys, message):
    assert re.search(message, refused(f"{GOOD}9.png,a\n", **keys))


def test_a_group_in_two_splits_is_refused_by_its_name(refused):
    text = "path,label,split,group\n0.png,a,train,p7\n1.png,b,train,p8\n2.png,a,test,p7\n3.png,b,test,p8\n"
    assert refused(text, validation="none") == (
        "group p7 is in both the splits train and test, and so is 1 more; bring each group into one split, or give "
        "groups up: dataset.group_column=null"
    )


def test_a_folder_is_no_table(refusal, tmp_path):
    assert refusal("table", tmp_path) == f"{tmp_path}: is a folder, no table; class folders: dataset=image_folder"
