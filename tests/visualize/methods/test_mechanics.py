"""`cnnlab visualize method=mechanics`: the course as a page, figures and arrays."""

import re
import shutil
from html.parser import HTMLParser

import keras
import numpy as np
import pytest
from PIL import Image

from cnnlab import cli

CHAPTERS = ["filters", "pooling", "padding", "kinds_of_convolution", "edges", "gradients", "memory"]
VOID = {"meta", "img", "br", "hr", "link", "input"}


@pytest.fixture(scope="module")
def run(small_run, tmp_path_factory):
    """With the course, written while a network of 16 bits is around: it is in float32 all the same."""
    run = shutil.copytree(small_run, tmp_path_factory.mktemp("course") / "run")
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert cli.main(["visualize", f"run={run}", "method=mechanics", "method.seed=5"]) == 0
    keras.config.set_dtype_policy("float32")
    return run


@pytest.fixture(scope="module")
def folder(run):
    return run / "visualize" / "mechanics"


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "index.html").read_text("utf-8")


def test_the_page_holds_every_figure_with_a_caption(folder, page):
    pictures = sorted(folder.glob("*.png"))
    assert {next(name for name in CHAPTERS if path.stem.startswith(name)) for path in pictures} == set(CHAPTERS)
    assert page.count("<img ") == page.count("<figcaption>") == page.count(' alt="') == len(pictures)
    for path in pictures:
        with Image.open(path) as picture:
            assert picture.text["Seed"] == "5"
            assert picture.text["Title"]


def test_the_page_needs_nothing_but_itself(page):
    sources = re.findall(r'(?:src|href)="([^"]{1,40})', page)
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    assert not re.search(r"<script|<link|@import|url\(", page)
    assert 'name="viewport"' in page
    assert "$" not in re.sub(r'src="[^"]*"', "", page)


def test_links_lead_to_chapters_and_tags_are_closed(page):
    class Tags(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open, self.ids, self.links = [], [], []

        def handle_starttag(self, tag, attributes):
            attributes = dict(attributes)
            self.ids += [attributes["id"]] if "id" in attributes else []
            self.links += [attributes["href"]] if tag == "a" else []
            if tag not in VOID:
                self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.ids == CHAPTERS
    assert {link.removeprefix("#") for link in tags.links} == set(CHAPTERS)


@pytest.mark.parametrize(
    "words", ["184 and 389", "143, 348, 204", "15,200", "225 million", "11.4 MiB", "1 in front, 2 behind"]
)
def test_the_known_numbers_are_on_the_page(page, words):
    assert words in page


def test_the_arrays_are_kept_by_chapter(folder):
    with np.load(folder / "mechanics.npz") as arrays:
        assert {name.split("/")[0] for name in arrays.files} == set(CHAPTERS)
        assert arrays["padding/valid"].tolist() == [184, 389]
        assert arrays["padding/same"].tolist() == [143, 348, 204]
        assert 0 < arrays["gradients/differences"].max() < 1e-12


def test_it_is_in_the_runs_report(run):
    assert "Look inside: mechanics" in (run / "report.html").read_text("utf-8")
