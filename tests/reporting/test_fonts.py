"""Letters of any script in figures."""

import logging
import warnings
from pathlib import Path

import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure

from cnnlab.reporting import fonts
from cnnlab.reporting.figure import new_figure, save_figure

NOWHERE = "\U0010fffd"  # for private use, in the last plane: no font has it


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch):
    monkeypatch.setattr(fonts, "_told", set())


def figure_of(label: str, title: str | None = None, **how: object) -> Figure:
    figure = new_figure(3, 2, title)
    axes = figure.subplots()
    axes.set_xticks([0, 1], [label, "plain"], **how)
    axes.set_xlabel(label)
    return figure


def test_what_no_font_has_is_told_once_in_one_line_and_not_by_matplotlib(tmp_path, caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(2):
            save_figure(figure_of(f"class {NOWHERE}", f"title {NOWHERE}"), tmp_path / f"{number}.png")
    (record,) = caplog.records
    assert record.name.startswith("cnnlab.")
    assert f"figures show boxes for {NOWHERE}: " in record.getMessage()
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize(
    ("character", "font"),
    [
        ("猫", "Noto Sans CJK (package fonts-noto-cjk)"),
        ("ね", "Noto Sans CJK (package fonts-noto-cjk)"),
        ("냥", "Noto Sans CJK (package fonts-noto-cjk)"),
        ("ก", "a font for Thai (such as Noto Sans, package fonts-noto-core)"),
        ("🥑", "Symbola (package fonts-symbola)"),
    ],
)
def test_the_advice_names_a_font_that_has_the_character(character, font):
    assert fonts.font_for(character) == font


def test_a_font_that_has_the_letters_fills_in(tmp_path, caplog):
    """Computer Modern, which comes with Matplotlib, has no Greek or Cyrillic; DejaVu, which does too, has both."""
    figure = figure_of("γάτα кот", fontfamily="cmr10")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_figure(figure, tmp_path / "figure.png")
    label = figure.axes[0].get_xticklabels()[0]
    first, *others = label.get_fontfamily()
    assert first == "cmr10"
    letters = frozenset(label.get_text()) - {" "}
    files = [font_manager.findfont(family) for family in others]
    assert frozenset().union(*(fonts.present(str(file), letters) for file in files)) == letters
    assert not caplog.records


def test_a_font_that_pictures_every_character_as_a_box_is_none():
    families, nowhere = fonts.fallback(frozenset(NOWHERE))
    assert families == ()
    assert nowhere == {NOWHERE}


def test_a_font_installed_after_matplotlibs_first_start_is_found(tmp_path, monkeypatch):
    """Its list of fonts is kept over starts: one without DejaVu Sans Mono, as if that had come later."""
    mono = font_manager.findfont("DejaVu Sans Mono")
    manager = font_manager.fontManager
    monkeypatch.setattr(manager, "ttflist", [entry for entry in manager.ttflist if entry.fname != str(mono)])
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(mono)])
    fonts._look_for_new_fonts.__wrapped__()
    assert str(mono) in {entry.fname for entry in manager.ttflist}


def test_invisible_characters_need_no_font(tmp_path, caplog):
    save_figure(figure_of("left‎to‍right️\u200b", "a\ttab"), tmp_path / "figure.png")
    assert not caplog.records


def test_matplotlibs_other_log_lines_stay(tmp_path):
    logger = logging.getLogger("matplotlib.font_manager")
    before = logger.level
    save_figure(figure_of(NOWHERE), tmp_path / "figure.png")
    assert logger.level == before
    assert Path(tmp_path / "figure.png").is_file()
