"""The files that a public project has beside its code say the same as the code."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from cnnlab import __version__

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text())


def test_there_is_one_version_and_one_licence():
    citation = read("CITATION.cff")
    assert citation["version"] == PROJECT["version"] == __version__
    assert citation["license"] == PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert [author["name"] for author in citation["authors"]] == ["The cnnlab contributors"]


def test_the_workflow_runs_what_every_machine_runs():
    steps = read(".github/workflows/ci.yml")["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    version = next(step["with"]["python-version"] for step in steps if "setup-python" in step.get("uses", ""))
    assert PROJECT["requires-python"] == f">={version}"


def test_the_hooks_check_what_make_lint_checks():
    hooks = read(".pre-commit-config.yaml")["repos"][0]["hooks"]
    lint = re.search(r"^lint:.*\n\t(.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    programs = [part.strip().removeprefix("$(BIN)/").split()[0] for part in lint.split("&&")]
    assert [hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in hooks] == programs
    assert all(hook["language"] == "system" for hook in hooks)


@pytest.mark.parametrize("form", ["bug", "feature"])
def test_an_issue_form_is_one_that_the_forge_takes(form):
    content = read(f".github/ISSUE_TEMPLATE/{form}.yml")
    assert content.keys() >= {"name", "description", "body"}
    assert all(field["attributes"]["label"] for field in content["body"])
    assert len({field["id"] for field in content["body"]}) == len(content["body"])


def test_a_bug_is_asked_for_its_command_the_machine_and_the_record_of_the_run():
    asked = " ".join(field["attributes"]["label"] for field in read(".github/ISSUE_TEMPLATE/bug.yml")["body"])
    for what in ("command", "cnnlab doctor", "run.json"):
        assert what in asked


def test_libraries_whose_private_parts_are_used_have_an_upper_bound():
    for library in ("hydra-core", "keras"):
        assert any(re.fullmatch(rf"{library}>=[\d.]+,<[\d.]+", entry) for entry in PROJECT["dependencies"])


def test_every_package_of_an_extra_of_development_is_pinned():
    names = [line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()[1:]]
    pinned = {re.sub(r"[-_.]+", "-", name).lower() for name in names}
    extras = PROJECT["optional-dependencies"]
    chosen = re.search(r"\[(.*)\]", extras["dev"][0])[1].split(",")
    needed = [*PROJECT["dependencies"], *extras["dev"][1:], *(entry for name in chosen for entry in extras[name])]
    assert {re.match(r"[\w.-]+", entry)[0].lower() for entry in needed} <= pinned


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_into_the_repository_lead_somewhere(page):
    links = re.findall(r"\]\((?!\w+:)([^)#]+)", (ROOT / page).read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []
