"""The site: it builds without a warning, has every option, and fetches nothing."""

import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from tests.docs.conftest import ROOT

CONF = ROOT / "conf"
GROUPS = sorted(
    folder.name for folder in CONF.iterdir() if folder.is_dir() and folder.name not in ("hydra", "__pycache__")
)


INTERNAL = ("_target_", "defaults", "hydra")


def built(value: object) -> bool:
    """Whether a value only says what is built, which nobody sets."""
    return isinstance(value, dict) and value.keys() <= {"_target_"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """The pages of options."""
    spec = importlib.util.spec_from_file_location("options", ROOT / "docs" / "options.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    folder = tmp_path_factory.mktemp("options")
    program.write_pages(folder)
    return folder


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_of_a_group_and_every_key_is_on_its_page(pages, group):
    sections = re.split(r"^## ", (pages / f"{group}.md").read_text(), flags=re.MULTILINE)[1:]
    by_name = {section.partition("\n")[0]: section for section in sections}
    files = sorted((CONF / group).glob("*.yaml"))
    assert [file.stem for file in files] == sorted(by_name)
    for file in files:
        values = yaml.safe_load(file.read_text()) or {}
        own = {key for key, value in values.items() if key not in INTERNAL and not built(value)}
        several = group in ("augmentation", "metric", "logger")
        prefix = "" if group == "experiment" else f"{group}.{file.stem}." if several else f"{group}."
        shown = set(re.findall(rf"^`{re.escape(prefix)}(\w+)", by_name[file.stem], re.MULTILINE))
        assert own - shown <= {"name"}, file


def test_defaults_comments_and_words_of_a_key_are_shown(pages):
    model = (pages / "model.md").read_text()
    assert "`model.depth=50`\n: " in model
    assert "`optimizer.clipnorm=null`" in (pages / "optimizer.md").read_text()
    assert "one of auto, none, published" in (pages / "dataset.md").read_text()
    assert "`runs=???`" in (pages / "commands.md").read_text()


def test_a_page_that_is_no_longer_an_option_goes(pages):
    (pages / "gone.md").write_text("# gone\n")
    spec = importlib.util.spec_from_file_location("options", ROOT / "docs" / "options.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    program.write_pages(pages)
    assert not (pages / "gone.md").exists()


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as `make docs` does."""
    pytest.importorskip("sphinx")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(ROOT / "docs"), str(folder)]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return folder


class _Links(HTMLParser):
    """What a page fetches, where it points to, and what may be pointed to in it."""

    def __init__(self, page: Path):
        super().__init__()
        self.fetched: list[str] = []
        self.pointed: list[str] = []
        self.names: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.names |= {given["id"]} if given.get("id") else set()
        if given.get("src"):
            self.fetched.append(given["src"])
        if tag == "link" and given.get("rel") not in ("index", "search", "next", "prev", "canonical"):
            self.fetched.append(given["href"])
        if tag == "a" and given.get("href"):
            self.pointed.append(given["href"])


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(site):
    for page in site.rglob("*.html"):
        elsewhere = [address for address in _Links(page).fetched if re.match(r"\w+:|//", address)]
        assert [address for address in elsewhere if not address.startswith("data:")] == [], page
    for sheet in site.rglob("*.css"):
        named = re.findall(r"(?:url\(|@import)\s*['\"]?\s*([^'\")\s]+)", sheet.read_text(encoding="utf-8"))
        assert [address for address in named if re.match(r"(?!data:)\w+:|//", address)] == [], sheet
    assert not [file for file in site.rglob("*") if file.suffix in (".woff", ".woff2", ".ttf", ".eot")]


@pytest.mark.slow
def test_every_link_within_the_site_leads_somewhere(site):
    pages = {page: _Links(page) for page in site.rglob("*.html")}
    for page, links in pages.items():
        for address in links.pointed:
            path, _, name = unquote(address).partition("#")
            if re.match(r"\w+:", address):
                continue
            target = (page.parent / path).resolve() if path else page
            assert target.is_file(), f"{page.name}: {address}"
            if name and target in pages:
                assert name in pages[target].names, f"{page.name}: {address}"
