"""`cnnlab visualize method=architecture`: drawings and receptive fields, with a run or without."""

import pandas as pd
import pytest
from PIL import Image

from cnnlab import cli


def draw(folder, *overrides, code=0):
    assert cli.main(["visualize", "method=architecture", f"hydra.run.dir={folder}", *overrides]) == code
    return folder / "architecture"


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("alexnet"), "model=alexnet", "input_shape=[227,227,3]", "num_classes=1000")


def test_it_needs_neither_a_run_nor_data(alexnet):
    assert {path.name for path in alexnet.iterdir()} == {
        "architecture.png",
        "receptive_fields.png",
        "receptive_fields.csv",
        "config.yaml",
    }
    with Image.open(alexnet / "architecture.png") as picture:
        assert picture.text["Title"] == "alexnet · 227×227×3 · 60,965,224 parameters"


def test_the_table_has_every_layer_and_what_it_sees(alexnet):
    table = pd.read_csv(alexnet / "receptive_fields.csv").set_index("layer")
    assert table.loc["conv1", ["output", "height", "width", "stride_y", "offset_y", "parameters"]].tolist() == [
        "55x55x96",
        11,
        11,
        4,
        0,
        34944,
    ]
    assert table.loc[["conv2", "conv5", "logits"], "height"].tolist() == [51, 163, 227]
    assert table.loc[["conv2", "logits"], "stride_y"].tolist() == [8, 0]
    assert table.parameters.sum() == 60_965_224


def test_a_runs_network_is_drawn_beside_its_other_figures(run):
    assert cli.main(["visualize", f"run={run}", "method=architecture"]) == 0
    folder = run / "visualize" / "architecture"
    with Image.open(folder / "architecture.png") as picture:
        assert picture.text["Model"] == str(run)
    assert pd.read_csv(folder / "receptive_fields.csv").output[0] == "8x8x24"


def test_weights_alone_are_enough_for_a_keras_file(run, tmp_path):
    folder = draw(tmp_path, f"weights={run / 'model.keras'}")
    assert "rescaling" in pd.read_csv(folder / "receptive_fields.csv").layer.tolist()


def test_unfolded_a_long_network_takes_several_pages(tmp_path):
    """Folded it takes one."""
    network = ["model=resnet", "model.depth=18", "input_shape=[32,32,3]", "num_classes=10", "method.fold=false"]
    pages = sorted(draw(tmp_path, *network).glob("architecture*.png"))
    assert len(pages) == 2
    for number, page in enumerate(pages, 1):
        with Image.open(page) as picture:
            assert picture.width < 2000, number
            assert picture.height < 2400, number


def test_images_that_are_too_small_are_refused(tmp_path, capsys):
    draw(tmp_path, "model=mnist_cnn", "input_shape=[8,8,1]", code=2)
    assert "error: input_shape=[8,8,1]: too small for model=mnist_cnn" in capsys.readouterr().err
