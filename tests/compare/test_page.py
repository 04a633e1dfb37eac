"""report.html of a comparison, in a real browser."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cnnlab import cli

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE, LAPTOP = 400, 1280  # CSS pixels

ASK = """
const page = document.querySelector("iframe").contentDocument;
const column = (name) => [...page.querySelectorAll("#runs th")].findIndex((head) => head.innerText === name);
const cells = (name) => [...page.querySelectorAll("#runs tbody tr")].map((row) => row.cells[column(name)].innerText);
const click = (name) => page.querySelectorAll("#runs th button")[column(name)].click();
"""


def ask(page: Path, folder: Path, script: str, width: int = 1100) -> dict:
    """Load a page in a frame of a browser, run a script that fills `answer`, and return that."""
    frame = f'<iframe width="{width}" height="3000" srcdoc="{html.escape(page.read_text("utf-8"))}"></iframe>'
    report = 'document.body.insertAdjacentHTML("beforeend", `<pre>${JSON.stringify(answer)}</pre>`);'
    asking = f"<script>onload = () => {{ const answer = {{}}; {ASK} {script} {report} }}</script>"
    wrapper = folder / "wrapper.html"
    wrapper.write_text(f"<!DOCTYPE html><meta charset=utf-8><body>{frame}{asking}</body>", "utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    command = [BROWSER, *flags, f"--user-data-dir={folder / 'profile'}", "--dump-dom", wrapper.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    return json.loads(html.unescape(re.search(r"<pre>([^<]*)</pre></body>", dom)[1]))


@pytest.fixture(scope="module")
def page(sweep_of_four) -> Path:
    assert cli.main(["compare", f"runs={sweep_of_four}"]) == 0
    return sweep_of_four / "compare" / "report.html"


needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")


@needs_browser
def test_a_click_on_a_head_sorts_by_it_and_a_second_one_the_other_way(page, tmp_path):
    script = """
      answer.before = cells("seed");
      click("final val accuracy"); answer.up = cells("final val accuracy");
      click("final val accuracy"); answer.down = cells("final val accuracy");
      click("status"); answer.status = cells("status");
    """
    answer = ask(page, tmp_path, script)
    assert answer["before"] == ["0", "1", "0", "1"]
    shares = [float(text.removesuffix("%")) for text in answer["up"] if text.endswith("%")]
    assert len(shares) == 3
    assert shares == sorted(shares)
    assert answer["down"][:3] == answer["up"][2::-1]
    assert answer["up"][3] == answer["down"][3] == ""  # what was not measured stays at the end
    assert answer["status"] == ["done", "done", "done", "failed"]


@needs_browser
def test_on_a_laptop_no_column_is_cut_and_every_head_shows_that_it_sorts(page, tmp_path):
    script = """
      const wide = [...page.querySelectorAll(".wide")];
      answer.cut = wide.map((part) => part.scrollWidth - part.clientWidth);
      const sign = (head) => page.defaultView.getComputedStyle(head, "::after").content;
      answer.signs = [...page.querySelectorAll("#runs th button")].map((head) => sign(head).includes("⇅"));
    """
    answer = ask(page, tmp_path, script, LAPTOP)
    assert set(answer["cut"]) == {0}
    assert set(answer["signs"]) == {True}


@needs_browser
def test_a_page_is_no_wider_than_a_phone(page, tmp_path):
    answer = ask(page, tmp_path, "answer.width = page.documentElement.scrollWidth;", PHONE)
    assert 300 < answer["width"] <= PHONE


@needs_browser
def test_every_figure_is_drawn_and_every_run_is_linked(page, tmp_path):
    script = """
      answer.drawn = [...page.images].map((image) => image.naturalWidth > 500);
      answer.links = [...page.querySelectorAll("#runs a")].map((link) => link.getAttribute("href"));
    """
    answer = ask(page, tmp_path, script)
    assert answer["drawn"] == [True] * len(list(page.parent.glob("*.png")))
    targets = [(page.parent / link.replace("%3D", "=").replace("%2C", ",")).resolve() for link in answer["links"]]
    runs = page.parent.parent
    assert targets[:3] == [
        run / "report.html" for run in sorted(runs.glob("optimizer=*")) if (run / "report.html").exists()
    ]
    assert targets[3] == runs / "optimizer=sgd,seed=1"


def test_a_page_needs_nothing_but_itself(page):
    text = page.read_text("utf-8")
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', text)
    assert "<link" not in text
    assert "optimizer=sgd,seed=1 is failed: no such file" in text
    assert "cnnlab train -m optimizer=adam,sgd seed=0,1" in text
