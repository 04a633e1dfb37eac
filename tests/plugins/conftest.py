"""Plug-ins made by the tests, which forget them afterwards."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cnnlab.plugins.plugin import installed_plugins

Install = Callable[..., Path]


def install(site: Path, name: str, module: str, version: str = "1.0") -> None:
    """What pip leaves of a package that names `module` as a plug-in."""
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (folder / "entry_points.txt").write_text(f"[cnnlab.plugins]\n{name} = {module}\n")


@pytest.fixture(scope="module")
def forgetful() -> Iterator[None]:
    """Whatever is imported or found meanwhile is forgotten again."""
    before, path = set(sys.modules), [*sys.path]
    installed_plugins.cache_clear()
    yield
    sys.path[:] = path
    installed_plugins.cache_clear()
    for name in set(sys.modules) - before:
        if name.partition(".")[0].startswith("own"):
            del sys.modules[name]


@pytest.fixture
def plugin(tmp_path, monkeypatch) -> Iterator[Install]:
    """`plugin(name, code, {"model/x.yaml": text})` installs a package; work is in an empty folder."""
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    made = []

    def make(name: str, code: str = "", options: dict[str, str] | None = None, version: str = "1.0") -> Path:
        made.append(name)
        package = site / name
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text(code)
        for path, text in (options or {}).items():
            file = package / "conf" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        install(site, name, name, version)
        installed_plugins.cache_clear()
        return package

    yield make
    installed_plugins.cache_clear()
    for name in made:
        sys.modules.pop(name, None)
