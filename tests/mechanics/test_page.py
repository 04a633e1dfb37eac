"""The course as one page."""

import pytest
from matplotlib.figure import Figure

from cnnlab.mechanics.chapter import Chapter
from cnnlab.mechanics.padding import padding_chapter
from cnnlab.mechanics.page import dimensions, scientific, table, write_page
from cnnlab.reporting.figure import save_figure


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


def test_a_figure_that_the_words_name_must_exist(tmp_path):
    chapter = padding_chapter()
    with pytest.raises(KeyError, match="valid"):
        write(Chapter("padding", chapter.title, {"same": Figure()}, chapter.values), tmp_path)


def test_a_table_escapes_its_cells_and_aligns_numbers():
    assert table(["kind", "size"], [["a < b", "3"]]) == (
        '<div class="wide"><table><tr><th>kind</th><th class="number">size</th></tr>'
        '<tr><td>a &lt; b</td><td class="number">3</td></tr></table></div>'
    )


@pytest.mark.parametrize(("value", "words"), [(0, "0"), (1.44e-14, "1.4 × 10⁻¹⁴"), (0.02, "2.0 × 10⁻²")])
def test_small_numbers_are_written_by_their_power_of_ten(value, words):
    assert scientific(value).replace("\u00a0", " ") == words


def test_a_shape_stays_on_one_line():
    assert dimensions((5, 5, 3)) == "5\u00a0×\u00a05\u00a0×\u00a03"
