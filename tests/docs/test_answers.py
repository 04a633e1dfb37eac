"""What pages show as printed is what is printed."""

import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from cnnlab import cli
from tests.docs.conftest import ROOT, commands

ANSWERED = [line for line in commands() if line.answer]
TIME = re.compile(r"^\d\d:\d\d:\d\d ")
HIDDEN = re.compile(r"^error: \S+ is NaN or infinite after step \d+")
"""What a training that diverges ends with on processors whose ReLU makes 0 of NaN."""


@pytest.fixture
def photos(tmp_path, monkeypatch, rng) -> Path:
    """The working directory, with photos/ of which one is cut off and one is empty."""
    monkeypatch.chdir(tmp_path)
    for name in ("cat", "dog"):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(3):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype="uint8")
            Image.fromarray(pixels).save(folder / f"{number}.jpg")
    whole = (tmp_path / "photos" / "cat" / "0.jpg").read_bytes()
    (tmp_path / "photos" / "cat" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "photos" / "dog" / "empty.jpg").write_bytes(b"")
    return tmp_path


def printed_on(page: str, name: str) -> list[str]:
    """The lines of the block that follows `<!-- output: NAME -->`."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.search(rf"<!-- output: {name} -->\n```(?:text)?\n(.*?)```", text, re.DOTALL)[1].splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("line", ANSWERED, ids=str)
def test_a_mistake_ends_as_the_page_shows(line, photos, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", list(line.words))  # of which hints are made
    assert cli.main(list(line.words[1:])) in (2, 3)
    told = [TIME.sub("", text).replace(f"{photos}/", "") for text in capsys.readouterr().err.splitlines()]
    told = [HIDDEN.sub("error: the loss became nan at step 3 (epoch 1)", text) for text in told]
    assert told[-len(line.answer) :] == list(line.answer)


def test_the_memory_of_a_batch_is_what_inspect_tells(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    words = ["model=all_cnn_c", "dataset=cifar10", "trainer.batch_size=128", "trainer.precision=float32"]
    assert cli.main(["inspect", *words]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == printed_on("troubleshooting.md", "inspect")


def test_an_evaluation_is_a_table_of_the_rows_that_are_shown(small_run, tmp_path, capsys):
    run = shutil.copytree(small_run, tmp_path / "run")
    assert cli.main(["eval", f"run={run}", "split=test"]) == 0
    shown = [line.split("  ")[0] for line in printed_on("getting_started.md", "eval")[2:]]
    labels = [line.split("  ")[0].rstrip() for line in capsys.readouterr().out.splitlines()]
    assert [label for label in labels if label in shown] == shown


def test_the_readme_shows_what_results_has():
    results = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .*\(`(\w+)`\) \| (.*?) ?\| (.*) \|$", readme, re.MULTILINE)
    assert len(rows) >= 5
    for recipe, published, measured in rows:
        row = re.search(rf"^\| `{recipe}` \|.*$", results, re.MULTILINE)[0]
        assert measured in row
        assert published.rpartition(" ")[0].rpartition(" ")[2] in row


def test_the_learning_curve_of_the_study_is_that_of_the_records(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    script = runpy.run_path(str(ROOT / "docs" / "published_curve.py"))
    shown = "\n".join(script["table"](script["history"]()))
    assert shown in (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_first_steps_can_be_taken_as_they_stand(photos, capsys):
    """The commands of getting_started.md, in order, until something is changed; only smaller."""
    page = (ROOT / "docs" / "getting_started.md").read_text(encoding="utf-8").partition("## Change something")[0]
    lines = [line.split("#")[0] for line in re.findall(r"^cnnlab .*", page, re.MULTILINE)]
    assert [line.split()[1] for line in lines] == ["train", "eval", "predict", "visualize"]
    (photos / "photos" / "cat" / "0.jpg").rename(photos / "photos" / "0.png")
    run = ""
    for line in lines:
        command, *words = shlex.split(line)[1:]
        words = [word.replace("RUN", run) for word in words]
        small = ["trainer.epochs=1", "input_shape=[8,8,1]", "model.padding=same"] if command == "train" else []
        assert cli.main([command, *words, *small]) == 0, line
        run = run or capsys.readouterr().out.splitlines()[-1]
    made = {path.name for path in Path(run).iterdir()}
    assert made >= {
        "config.yaml",
        "run.json",
        "metrics.csv",
        "model.keras",
        "report.html",
        "eval",
        "predict",
        "visualize",
    }
