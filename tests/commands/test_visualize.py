"""`cnnlab visualize` itself: where figures go, and several methods at once."""

import shutil
from importlib.resources import files
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from cnnlab import cli


@pytest.fixture
def run(small_run, tmp_path) -> Path:
    """A copy of the small run, to draw into."""
    return shutil.copytree(small_run, tmp_path / "run", ignore=shutil.ignore_patterns("visualize"))


def visualize(run, *overrides):
    return cli.main(["visualize", f"run={run}", *overrides])


def test_the_same_settings_replace_their_figures_and_others_stay(run, capsys):
    for filters, folder in ((2, "kernels"), (3, "kernels-2"), (2, "kernels"), (3, "kernels-2")):
        assert visualize(run, "method=kernels", "method.layers=[conv1]", f"method.filters={filters}") == 0
        assert capsys.readouterr().out == f"{run / 'visualize' / folder}\n"
    assert {path.name for path in (run / "visualize").iterdir()} == {"kernels", "kernels-2"}
    assert OmegaConf.load(run / "visualize" / "kernels-2" / "config.yaml").method.filters == 3


def test_a_name_of_ones_own_chooses_the_folder(run):
    assert visualize(run, "method=kernels", "method.name=edges", "method.layers=[conv1]") == 0
    assert (run / "visualize" / "edges" / "conv1.png").is_file()
    assert "Look inside: edges" in (run / "report.html").read_text("utf-8")


def test_an_unknown_method_is_refused_with_the_list(run, capsys):
    assert visualize(run, "method=kernel") == 2
    assert "did you mean kernels?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "begins"),
    [
        ([], "error: visualize: give method=NAME, one of activation_max, architecture, "),
        (["method.images=3"], "error: method.images=3: is of a method, which cnnlab visualize method=NAME chooses, "),
        (["methd=kernels"], "error: methd=kernels: no such key; did you mean method?"),
    ],
)
def test_the_method_must_be_chosen(run, capsys, given, begins):
    assert visualize(run, *given) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(begins)
    assert not (run / "visualize").exists()


def test_help_needs_no_method(capsys):
    assert cli.main(["visualize", "--help"]) == 0
    assert "activation_max, all, architecture" in capsys.readouterr().out


def test_several_methods_end_with_the_path_of_the_report_which_shows_their_figures(run, capsys):
    methods = OmegaConf.load(files("cnnlab.conf") / "method" / "all.yaml").defaults
    names = [str(entry).partition("@")[0] for entry in methods]
    others = [f"~method.{name}" for name in names if name not in ("architecture", "kernels")]
    assert visualize(run, "method=all", *others) == 0
    folders = [str(run / "visualize" / name) for name in ("architecture", "kernels")]
    assert capsys.readouterr().out.splitlines() == [*folders, str(run / "report.html")]
    page = (run / "report.html").read_text("utf-8")
    assert "Look inside: kernels" in page
    assert page.count('alt="The kernels of convolutions') == 3


def test_an_unknown_option_is_refused_with_the_nearest(run, capsys):
    assert visualize(run, "method=kernels", "method.filter=3") == 2
    assert "did you mean" in capsys.readouterr().err


QUICK = (
    "method.activation_max.ascent.iterations=2",
    "method.activation_max.compare_with=0",
    "method.class_max.ascent.iterations=2",
    "method.smoothgrad.samples=2",
    "method.integrated_gradients.steps=2",
    "method.occlusion.images=1",
    "method.occlusion.stride=3",
    "method.deconvnet.filters=1",
)


@pytest.mark.slow
def test_all_methods_draw_one_after_the_other_and_one_that_cannot_is_left_out(run, capsys, caplog):
    assert visualize(run, "method=all", *QUICK, "method.kernels.layers=[conv9]") == 0
    drawn = {path.name for path in (run / "visualize").iterdir()}
    options = OmegaConf.load(files("cnnlab.conf") / "method" / "all.yaml").defaults
    expected = {str(entry).partition("@")[0] for entry in options} - {"kernels"}
    assert drawn == expected
    assert {line.rpartition("/")[2] for line in capsys.readouterr().out.splitlines()} == expected | {"report.html"}
    assert "kernels is left out: method.layers=conv9: no such layer" in caplog.text
    page = (run / "report.html").read_text("utf-8")
    assert all(f"Look inside: {name.replace('_', ' ')}" in page for name in expected)


def test_a_method_that_fails_costs_neither_the_others_nor_the_report_and_is_told(
    run, tmp_path, monkeypatch, caplog, capsys
):
    (tmp_path / "broken_method.py").write_text(
        "def draw(config, folder, *, fold=True):\n    raise ValueError('a bug')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    options = OmegaConf.load(files("cnnlab.conf") / "method" / "all.yaml").defaults
    others = {str(entry).partition("@")[0] for entry in options} - {"architecture", "dataset"}
    broken = ["targets=[cnnlab,keras,broken_method]", "method.architecture._target_=broken_method.draw"]
    (run / "report.html").unlink(missing_ok=True)
    assert visualize(run, "method=all", *broken, *(f"~method.{name}" for name in others)) == 1
    assert "architecture has failed; the others go on" in caplog.messages
    assert "ValueError: a bug" in capsys.readouterr().err
    assert (run / "visualize" / "dataset" / "mean.png").is_file()
    assert "Look inside: dataset" in (run / "report.html").read_text("utf-8")


def test_where_no_method_can_look_inside_it_is_the_users_mistake(run, capsys):
    (run / "model.keras").unlink()
    without = [f"~method.{name}" for name in ("dataset", "architecture")]
    assert visualize(run, "method=all", *without) == 2
    assert "has no model.keras" in capsys.readouterr().err
