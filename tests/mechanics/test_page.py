"""The course as one page."""

import pytest
from matplotlib.figure import Figure

from cnnlab.evaluation.figure import save_figure
from cnnlab.mechanics.chapter import Chapter
from cnnlab.mechanics.padding import padding_chapter
from cnnlab.mechanics.page import table, write_page


def write(chapter: Chapter, folder):
    for name, figure in chapter.figures.items():
        save_figure(figure, folder / f"{chapter.name}_{name}.png")
    write_page([chapter], folder)
    return (folder / "index.html").read_text("utf-8")


def test_a_chapter_has_its_heading_its_figures_and_its_values(tmp_path):
    chapter = padding_chapter()
    page = write(chapter, tmp_path)
    assert f'<section id="padding"><h2>{chapter.title}</h2>' in page
    assert f'<li><a href="#padding">{chapter.title}</a></li>' in page
    assert page.count("data:image/png;base64,") == len(chapter.figures) == page.count("<figcaption>")
    assert chapter.values["same_sums"] in page


def test_a_figure_that_the_words_ask_for_must_exist(tmp_path):
    chapter = padding_chapter()
    with pytest.raises(KeyError, match="valid"):
        write(Chapter("padding", chapter.title, {"same": Figure()}, chapter.values), tmp_path)


def test_a_table_escapes_its_cells_and_aligns_numbers():
    assert table(["kind", "size"], [["a < b", "3"]]) == (
        '<div class="wide"><table><tr><th>kind</th><th class="number">size</th></tr>'
        '<tr><td>a &lt; b</td><td class="number">3</td></tr></table></div>'
    )
