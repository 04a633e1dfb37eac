"""The wheel: it is built without a warning, and holds what the repository does."""

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import cnnlab

ROOT = Path(cnnlab.__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[str, set[str]]:
    """What building the wheel printed, and the files in it; nothing is downloaded."""
    if int(version("setuptools").partition(".")[0]) < 77:
        pytest.skip("an older setuptools than pyproject.toml asks for: pip install -e '.[dev]'")
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("cnnlab", "conf", "hydra_plugins"):  # a copy: building leaves folders behind
        shutil.copytree(ROOT / name, source / name)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "import sys, setuptools.build_meta as backend; print(backend.build_wheel(sys.argv[1]))"
    answer = subprocess.run(
        [sys.executable, "-W", "always", "-c", build, str(folder)],
        cwd=source,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert answer.returncode == 0, answer.stdout
    (wheel,) = folder.glob("*.whl")
    return answer.stdout, set(zipfile.ZipFile(wheel).namelist())


def test_no_package_would_be_ignored(built):
    printed, _ = built
    assert "would be ignored" not in printed
    assert "absent from the `packages`" not in printed


def test_every_file_of_the_package_is_in_the_wheel(built):
    _, names = built
    expected = {
        ("cnnlab/" if top == "conf" else "") + str(file.relative_to(ROOT))
        for top in ("cnnlab", "conf", "hydra_plugins")
        for file in (ROOT / top).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == expected


def test_the_licence_and_the_marker_of_types_are_in_the_wheel(built):
    _, names = built
    assert f"cnnlab-{cnnlab.__version__}.dist-info/licenses/LICENSE" in names
    assert "cnnlab/py.typed" in names
