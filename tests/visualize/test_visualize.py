"""`cnnlab visualize` itself: where figures go, and several methods at once."""

from omegaconf import OmegaConf

from cnnlab import cli


def visualize(run, *overrides):
    return cli.main(["visualize", f"run={run}", *overrides])


def test_the_same_settings_replace_their_figures_and_others_stay(run, capsys):
    for filters, folder in ((2, "kernels"), (3, "kernels-2"), (2, "kernels"), (3, "kernels-2")):
        assert visualize(run, "method=kernels", f"method.filters={filters}") == 0
        assert capsys.readouterr().out == f"{run / 'visualize' / folder}\n"
    assert {path.name for path in (run / "visualize").iterdir()} == {"kernels", "kernels-2"}
    assert OmegaConf.load(run / "visualize" / "kernels-2" / "config.yaml").method.filters == 3


def test_a_name_of_ones_own_chooses_the_folder(run):
    assert visualize(run, "method=kernels", "method.name=edges") == 0
    assert (run / "visualize" / "edges" / "conv1.png").is_file()


def test_the_figures_are_in_the_runs_report(run):
    assert visualize(run, "method=kernels") == 0
    page = (run / "report.html").read_text("utf-8")
    assert "Look inside: kernels" in page
    assert page.count('alt="kernels: conv') == 3


def test_an_unknown_method_is_refused_with_the_list(run, capsys):
    assert visualize(run, "method=kernel") == 2
    assert "did you mean kernels?" in capsys.readouterr().err


def test_an_unknown_knob_is_refused_with_the_nearest(run, capsys):
    assert visualize(run, "method=kernels", "method.filter=3") == 2
    assert "did you mean" in capsys.readouterr().err
