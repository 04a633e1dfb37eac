"""`cnnlab visualize method=deconvnet`, from a run to figures, table and arrays."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnlab import cli
from cnnlab.evaluation.load_model import load_best
from cnnlab.models.network import take_apart
from cnnlab.models.receptive_field import ReceptiveField, Span
from cnnlab.runs.run import Run
from cnnlab.visualize.methods.deconvnet import crop


def draw(run, *overrides, code=0):
    assert cli.main(["visualize", f"run={run}", "method=deconvnet", *overrides]) == code
    return run / "visualize" / "deconvnet"


def test_every_layer_has_a_figure_and_its_strongest_activations(run):
    folder = draw(run, "method.layers=[conv1_act,conv3_act]", "method.filters=[[2,1],[0]]", "method.top=4")
    assert {path.stem for path in folder.glob("*.png")} == {"conv1_act", "conv3_act"}
    table = pd.read_csv(folder / "top.csv")
    assert list(table.columns) == ["layer", "channel", "rank", "value", "image", "row", "column", "class"]
    assert table.groupby(["layer", "channel"], sort=False).size().to_dict() == {
        ("conv1_act", 2): 4,
        ("conv1_act", 1): 4,
        ("conv3_act", 0): 4,
    }
    with np.load(folder / "deconvnet.npz") as arrays:
        values = arrays["conv1_act/values"]
        assert arrays["conv1_act/projections"].shape == arrays["conv1_act/patches"].shape == (2, 4, 3, 3, 1)
        np.testing.assert_allclose(values.ravel(), table.value[:8], rtol=1e-5)
    assert (np.diff(values, axis=1) <= 0).all()
    with Image.open(folder / "conv3_act.png") as picture:
        assert picture.text["Seed"] == "0"


def test_of_a_first_layer_the_projection_is_the_filter(run):
    folder = draw(run, "method.layers=[conv1_act]", "method.filters=3", "method.top=2")
    kernel = take_apart(load_best(Run.open(run)))[1].get_layer("conv1").get_weights()[0]
    with np.load(folder / "deconvnet.npz") as arrays:
        kernels = np.moveaxis(kernel, -1, 0)[:3, None]
        projections, values = arrays["conv1_act/projections"], arrays["conv1_act/values"]
    ratio = projections / (kernels * values[..., None, None, None])
    inside = np.isfinite(projections) & (values[..., None, None, None] > 0)
    assert inside.any(axis=(1, 2, 3, 4)).all()
    np.testing.assert_allclose(ratio[inside], ratio[inside][0], rtol=1e-3)  # the preprocessing's scale


def test_a_limit_draws_images_and_keeps_their_positions_in_the_split(run):
    def found(seed, name):
        few = ["method.layers=[conv1_act]", "method.filters=1", "method.top=3", "method.limit=40"]
        draw(run, *few, f"method.seed={seed}", f"method.name={name}")
        return pd.read_csv(run / "visualize" / name / "top.csv")

    first, again, other = found(1, "first"), found(1, "again"), found(2, "other")
    pd.testing.assert_frame_equal(first, again)
    assert first.image.max() > 40
    assert set(first.image) != set(other.image)


def test_a_run_trained_in_mixed_precision_is_projected_in_float32(train):
    run = train("trainer.precision=bfloat16", "model.batch_norm=true", "trainer.steps=4")
    folder = draw(run, "method.layers=[conv3_act]", "method.filters=2", "method.top=1")
    with np.load(folder / "deconvnet.npz") as arrays:
        assert arrays["conv3_act/projections"].dtype == np.float32
        assert np.nanmax(np.abs(arrays["conv3_act/projections"])) > 0


def test_a_patch_is_as_large_as_the_field_and_empty_beyond_the_border():
    images = np.arange(2 * 4 * 6).reshape(2, 4, 6, 1).astype(np.uint8)
    field = ReceptiveField(rows=Span(-3, 2, 9), columns=Span(-1, 2, 3))
    tiles = crop(images, field, np.array([[0, 0], [3, 2]]))
    assert tiles.shape == (2, 4, 3, 1)
    np.testing.assert_array_equal(tiles[0, ..., 0], [[np.nan, row * 6, row * 6 + 1] for row in range(4)])
    np.testing.assert_array_equal(tiles[1, :3, :, 0], np.full((3, 3), np.nan))
    np.testing.assert_array_equal(tiles[1, 3, :, 0], images[1, 3, 3:6, 0])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("method.layers=[conv9]", "method.layers=conv9: no such layer"),
        ("method.filters=[[0]]", "method.filters=[[0]]: has 1 lists for 3 layers"),
        ("method.top=999", "method.top=999: there are only 360 images"),
        ("method.top=0", "method.top=0: must be at least 1"),
        ("method.split=holdout", "method.split=holdout: must be one of"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(run, capsys, override, message):
    draw(run, override, code=2)
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("error: " + message)
