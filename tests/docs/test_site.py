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
def test_the_site_builds_without_a_warning_fetches_nothing_and_its_links_lead_somewhere(tmp_path):
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(ROOT / "docs"), str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    pages = {page: _Links(page) for page in tmp_path.rglob("*.html")}
    for page, links in pages.items():
        assert [address for address in links.fetched if is_elsewhere(address)] == [], page.name
        for address in links.pointed:
            assert is_elsewhere(address) or leads_somewhere(page, address, pages), f"{page.name}: {address}"
    for sheet in tmp_path.rglob("*.css"):
        named = re.findall(r"(?:url\(|@import)\s*['\"]?\s*([^'\")\s]+)", sheet.read_text(encoding="utf-8"))
        assert [address for address in named if is_elsewhere(address)] == [], sheet.name
    assert not [file for file in tmp_path.rglob("*") if file.suffix in (".woff", ".woff2", ".ttf", ".eot")]


def is_elsewhere(address: str) -> bool:
    """Whether an address is not of the site, nor the content itself."""
    return re.match(r"(?!data:)\w+:|//", address) is not None


def leads_somewhere(page: Path, address: str, pages: dict[Path, _Links]) -> bool:
    """Whether a file of the site is there, and what is named in it."""
    path, _, name = unquote(address).partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.is_file() and (not name or target not in pages or name in pages[target].names)
