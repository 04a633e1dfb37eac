"""Imports between the packages go one way: down this list, never up."""

import ast
from pathlib import Path

import cnnlab

ROOT = Path(cnnlab.__file__).parent
ORDER = [
    {"cli"},
    {"commands", "api"},
    {"compare"},
    {"sweeps"},
    {"visualize"},
    {"mechanics"},
    {"export"},
    {"evaluation"},
    {"training"},
    {"models", "initializers", "optimizers", "schedules", "losses", "metrics", "augmentation"},
    {"data"},
    {"reporting"},
    {"config"},
    {"plugins"},
    {"runs"},
    {"runtime"},
    {"errors"},
]
LEVEL = {package: level for level, packages in enumerate(ORDER) for package in packages}
OUTSIDE = {"conf"}  # configuration, not code


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The packages of cnnlab that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("cnnlab."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.module == "cnnlab":
            found |= {alias.name for alias in node.names} & LEVEL.keys()
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("cnnlab.")}
    return found


def test_every_package_has_its_place():
    packages = {package_of(path) for path in ROOT.rglob("*.py")} - {"__init__", "__main__"} - OUTSIDE
    assert packages == LEVEL.keys()


def test_no_import_points_upwards():
    upwards = [
        f"{path.relative_to(ROOT)} imports cnnlab.{other}"
        for path in ROOT.rglob("*.py")
        if package_of(path) in LEVEL
        for other in imports(path)
        if LEVEL[other] < LEVEL[package_of(path)]
    ]
    assert not upwards
