"""report.html: one page that needs nothing but itself."""

import base64
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from cnnlab import cli
from cnnlab.reporting.run_page import write_report
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
        return {a["alt"]: base64.b64decode(a["src"].removeprefix(prefix)) for tag, a in self.tags if tag == "img"}


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
    figures = {f"{path.parent.name}: {path.stem}": path.read_bytes() for path in (run / "eval").glob("*/*.png")}
    figures["plots: curves"] = (run / "plots" / "curves.png").read_bytes()
    assert page.images() == figures


def test_a_page_needs_nothing_but_itself_and_fits_a_phone(run):
    page = Page(run / "report.html")
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert all(attributes["src"].startswith("data:") for tag, attributes in page.tags if tag == "img")
    assert not any("href" in attributes for _, attributes in page.tags)
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
    write_report(fresh_run)
    assert "interrupted" in Page(fresh_run.path / "report.html").text
