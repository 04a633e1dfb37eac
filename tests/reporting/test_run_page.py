"""report.html: one page that needs nothing but itself."""

import base64
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cnnlab import cli
from cnnlab.reporting.run_page import write_report
from cnnlab.runs.files import digest
from cnnlab.runs.lock import sole_writer
from cnnlab.runs.run import Run

VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """The tags and the text of a page; fails where tags do not match."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(path.read_text("utf-8"))
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def images(self) -> dict[str, bytes]:
        """The embedded images by their alternative texts."""
        prefix = "data:image/png;base64,"
        return {a["alt"]: base64.b64decode(a["src"].removeprefix(prefix)) for a in self.all("img")}

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def run(small_run, tmp_path_factory) -> Path:
    """A copy of the small run as its training left it, to evaluate and report."""
    others = shutil.ignore_patterns("eval", "visualize", "predict")
    return shutil.copytree(small_run, tmp_path_factory.mktemp("reported") / "run", ignore=others)


@pytest.fixture
def fresh_run(tmp_path) -> Run:
    """A run that has just started, with a name that is hard to show."""
    config = OmegaConf.create({"name": "<script>alert('a & b')</script>", "model": {"name": "x</pre>"}})
    run = Run.create(tmp_path / "run", config)
    run.begin()
    return run


def test_a_page_shows_results_curves_evaluations_configuration_and_environment(run):
    assert cli.main(["eval", f"run={run}"]) == 0
    page = Page(run / "report.html")
    metrics = json.loads((run / "eval" / "test" / "metrics.json").read_text())
    opened = Run.open(run)
    for shown in (
        opened.config.name,
        "completed",
        f"{metrics['accuracy']:.2%}",
        f"{metrics['loss']:.4f}",
        f"{opened.record['best']['value']:.2%}",
        f"{opened.record['total_params']:,}",
        "batch_size: 64",
        opened.record["versions"]["tensorflow"],
        opened.record["host"]["name"],
    ):
        assert shown in page.text
    images = page.images()
    assert len(images) == len(page.all("img"))
    assert {*images.values()} == {
        path.read_bytes() for path in [*run.glob("eval/*/*.png"), run / "plots" / "curves.png"]
    }
    assert images["The images that the model got wrong while most sure of itself"]


def test_an_evaluation_of_an_earlier_model_is_marked(run, tmp_path):
    resumed = Path(shutil.copytree(run, tmp_path / "resumed"))
    assert "earlier model" not in Page(resumed / "report.html").text
    with (resumed / "model.keras").open("ab") as file:  # as a resumed training that finds a better one
        file.write(b"\0")
    write_report(Run.open(resumed))
    text = Page(resumed / "report.html").text
    assert "accuracy, test (of an earlier model)" in text
    assert "of an earlier model than model.keras is now: evaluate again" in text


def test_figures_of_an_earlier_model_are_marked_and_those_of_the_data_are_not(run, tmp_path):
    resumed = Path(shutil.copytree(run, tmp_path / "resumed"))
    for method in (["method=kernels", "method.layers=[conv1]"], ["method=dataset", "method.images=2"]):
        assert cli.main(["visualize", f"run={resumed}", *method]) == 0
    told = "of an earlier model than model.keras is now: draw again"
    assert told not in Page(resumed / "report.html").text
    with Image.open(resumed / "visualize" / "kernels" / "conv1.png") as picture:
        assert picture.text["model_sha256"] == digest(resumed / "model.keras")
    with (resumed / "model.keras").open("ab") as file:  # as a resumed training that finds a better one
        file.write(b"\0")
    write_report(Run.open(resumed))
    _, of_data, of_model = Page(resumed / "report.html").text.split("Look inside: ")[-3:]
    assert (of_data.startswith("dataset"), told in of_data) == (True, False)
    assert (of_model.startswith("kernels"), told in of_model) == (True, True)


def test_the_contents_link_every_section(run):
    page = Page(run / "report.html")
    sections = [attributes["id"] for attributes in page.all("section")]
    assert [attributes["href"] for attributes in page.all("a")] == [f"#{section}" for section in sections]
    assert sections[-2:] == ["configuration", "environment"]


def test_every_epoch_is_a_row_with_its_learning_rate(run):
    text = Page(run / "report.html").text
    assert "learning rate" in text
    for row in Run.open(run).history():
        assert f"{row['val_loss']:.4f}" in text
        assert f"{row['learning_rate']:.4g}" in text


def test_the_most_confident_wrong_predictions_are_listed(run):
    predictions = pd.read_csv(run / "eval" / "test" / "predictions.csv")
    wrong = predictions[predictions["true"] != predictions["predicted"]].sort_values("confidence", ascending=False)
    assert len(wrong) > 20
    text = Page(run / "report.html").text
    assert f"the 20 most confident of {len(wrong)}" in text
    columns = ["index", "true", "predicted", "confidence"]
    shown = [
        f"{index}{true}{predicted}{confidence:.2%}"
        for index, true, predicted, confidence in wrong[columns].itertuples(index=False)
    ]
    assert shown[0] in text
    assert shown[19] in text
    assert shown[20] not in text


def draw(run: Run, name: str, width: int = 2, height: int = 2) -> Path:
    """A figure of noise, which no PNG makes smaller, as a method leaves it."""
    path = run.path / "visualize" / name
    path.parent.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    metadata = PngInfo()
    metadata.add_text("Title", "net · conv1: 2 of 8 kernels")
    Image.fromarray(pixels).save(path, pnginfo=metadata)
    return path


def test_a_look_inside_says_what_one_sees(fresh_run):
    draw(fresh_run, "kernels-2/conv1.png")
    write_report(fresh_run)
    page = Page(fresh_run.path / "report.html")
    (shown,) = page.all("img")
    for part in ("The kernels of convolutions", "conv1: 2 of 8 kernels"):
        assert part in page.text
        assert part in shown["alt"]


def test_what_a_killed_process_left_half_written_is_no_figure(fresh_run):
    (fresh_run.path / "eval" / "test").mkdir(parents=True)
    (fresh_run.path / "plots").mkdir()
    (fresh_run.path / "eval" / "test" / "metrics.json").write_text(json.dumps({"accuracy": 0.5, "examples": 2}))
    for name in ("eval/test/.4711-confusion_matrix.png", "plots/.4711-curves.png"):
        (fresh_run.path / name).write_bytes(b"\x89PNG")
    write_report(fresh_run)
    page = Page(fresh_run.path / "report.html")
    assert "Evaluation: test" in page.text
    assert page.images() == {}


def test_a_figure_is_not_narrower_than_it_can_be_read_and_takes_the_row_where_it_must(fresh_run):
    draw(fresh_run, "kernels/conv1.png", width=1000)
    draw(fresh_run, "mine/narrow.png", width=300)
    write_report(fresh_run)
    page = Page(fresh_run.path / "report.html")
    assert [image["style"] for image in page.all("img")] == ["min-width: 600px", "min-width: 180px"]
    assert [figure.get("class") for figure in page.all("figure")] == ["full", None]


def test_what_would_make_the_page_large_is_linked_the_largest_first(fresh_run):
    draw(fresh_run, "kernels/conv1.png", width=1100, height=1100)
    draw(fresh_run, "saliency/saliency.png")
    write_report(fresh_run)
    page = Page(fresh_run.path / "report.html")
    assert [image["src"][:10] for image in page.all("img")] == ["visualize/", "data:image"]
    assert {"href": "visualize/kernels/conv1.png"} in page.all("a")
    assert (fresh_run.path / "report.html").stat().st_size < 2**20


def test_a_page_needs_nothing_but_itself_and_fits_a_phone(run):
    page = Page(run / "report.html")
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert all(attributes["src"].startswith("data:") for attributes in page.all("img"))
    assert all(attributes["href"].startswith("#") for attributes in page.all("a"))
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags


def test_a_run_that_has_just_started_has_a_page(fresh_run):
    with sole_writer(fresh_run.path):
        write_report(fresh_run)
    assert "running" in Page(fresh_run.path / "report.html").text


def test_everything_is_escaped(fresh_run):
    fresh_run.finish("failed", "ValueError: <i>leaning</i>")
    write_report(fresh_run)
    page = Page(fresh_run.path / "report.html")
    assert not {"script", "i"} & {tag for tag, _ in page.tags}
    for shown in (fresh_run.config.name, "ValueError: <i>leaning</i>", "x</pre>"):
        assert shown in page.text


def test_earlier_sessions_of_a_resumed_run_are_told(fresh_run):
    fresh_run.finish("interrupted")
    fresh_run.resume(fresh_run.config)
    fresh_run.begin()
    fresh_run.finish("completed")
    write_report(fresh_run)
    assert "earlier sessions 1: statusinterrupted" in Page(fresh_run.path / "report.html").text
