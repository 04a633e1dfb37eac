"""One method's figures in a folder of their own, also beside another command."""

from omegaconf import OmegaConf

from cnnlab.visualize.draw import draw_into

METHOD = """
from omegaconf import OmegaConf
from cnnlab.visualize.draw import draw_into

def draw(config, folder, *, text):
    if text == "slow":
        draw_into(OmegaConf.merge(config, {"method": {"text": "quick"}}), folder.parent)
    (folder / "figure.txt").write_text(text)
"""


def test_figures_that_another_command_has_drawn_meanwhile_stay(tmp_path, monkeypatch):
    (tmp_path / "method_of_mine.py").write_text(METHOD)
    monkeypatch.syspath_prepend(tmp_path)
    method = {"_target_": "method_of_mine.draw", "name": "mine", "text": "slow"}
    drawn = draw_into(OmegaConf.create({"method": method, "targets": ["method_of_mine"]}), tmp_path / "visualize")
    found = {file.parent.name: file.read_text() for file in (tmp_path / "visualize").glob("*/figure.txt")}
    assert found == {"mine": "quick", "mine-2": "slow"}
    assert drawn.name == "mine-2"
