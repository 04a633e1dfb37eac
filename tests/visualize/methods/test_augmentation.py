"""`cnnlab visualize method=augmentation`, from the command line to the pictures."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from cnnlab import cli
from cnnlab.augmentation.pipeline import build_pipeline
from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.runs.run import Run

SMALL = ("input_shape=[8,8,1]", "model.padding=same", "method.images=4", "trainer.precision=float32")
CHAIN = ("augmentation=[shift,brightness,mixup]", "method.strengths=[1]")


def draw(folder, *overrides: str):
    """Draw without a run, and return the folder."""
    assert cli.main(["visualize", "method=augmentation", *SMALL, f"hydra.run.dir={folder}", *overrides]) == 0
    return folder / "augmentation"


@pytest.fixture
def visualize(tmp_path):
    """`visualize(*overrides)` draws below `tmp_path` and returns the folder."""
    return partial(draw, tmp_path / "figures")


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """The figures of a pipeline of three operations."""
    return draw(tmp_path_factory.mktemp("chain"), *CHAIN)


def test_there_is_a_picture_of_the_pipeline_and_one_of_each_operation(chain):
    names = {path.name for path in chain.iterdir()}
    assert names == {"pipeline.png", "shift.png", "brightness.png", "mixup.png", "images.npz", "config.yaml"}
    with Image.open(chain / "pipeline.png") as picture:
        assert picture.width > picture.height * 0.8
        assert picture.text["Dataset"] == "digits"
        assert int(picture.text["Seed"]) == np.load(chain / "images.npz")["seed"]


def test_a_runs_own_augmentation_is_what_its_pipeline_makes(small_run):
    assert cli.main(["visualize", f"run={small_run}", "method=augmentation", "method.images=4"]) == 0
    with np.load(small_run / "visualize" / "augmentation" / "images.npz") as arrays:
        original, after, targets = (arrays[key] for key in ("original", "pipeline/shift", "targets/shift"))
    config = Run.open(small_run).config
    stream = RandomStream(tf.constant([config.seeds.augmentation, 0]), 4, 0, 4, tf.range(4, dtype=tf.int64), 0)
    expected, labels = build_pipeline(config.augmentation)(tf.constant(original), tf.constant(targets), stream)
    np.testing.assert_array_equal(after, expected)
    np.testing.assert_array_equal(targets, labels)


def test_mixed_labels_follow_the_images(chain):
    with np.load(chain / "images.npz") as arrays:
        assert ((arrays["targets/original"] == 0) | (arrays["targets/original"] == 1)).all()
        np.testing.assert_allclose(arrays["targets/mixup"].sum(axis=1), 1, rtol=1e-6)
        assert (arrays["targets/mixup"].max(axis=1) < 1).any()


def test_strengths_multiply_an_operations_options_up_to_the_largest_that_is_allowed(visualize):
    given = ["augmentation=brightness", "augmentation.brightness.brightness=0.4", "method.strengths=[0,1,10]"]
    with np.load(visualize(*given) / "images.npz") as arrays:
        factors = [float(key.removeprefix("brightness/×")) for key in arrays if key.startswith("brightness/")]
        assert factors == pytest.approx([0, 1, 2.5], abs=0.01)
        original = arrays["original"].astype(int)
        changes = [np.abs(arrays[key] - original).mean() for key in arrays if key.startswith("brightness/")]
    assert changes[0] == 0
    assert changes[0] < changes[1] < changes[2]


def test_an_operation_of_the_users_own_needs_no_strength(visualize, tmp_path, monkeypatch):
    (tmp_path / "inverting.py").write_text(
        "class Invert:\n    def __call__(self, images, draws):\n        return 255 - images\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    theirs = ("targets=[cnnlab,keras,inverting]", "+augmentation.invert._target_=inverting.Invert")
    folder = visualize("augmentation=none", *theirs)
    assert {path.name for path in folder.iterdir()} == {"pipeline.png", "images.npz", "config.yaml"}
    with np.load(folder / "images.npz") as arrays:
        np.testing.assert_array_equal(arrays["pipeline/invert"], 255 - arrays["original"])


def test_an_operation_of_the_users_own_is_drawn_at_several_strengths(visualize, tmp_path, monkeypatch):
    (tmp_path / "dimming.py").write_text(
        "class Dim:\n"
        "    strength = ('by',)\n"
        "    def __init__(self, by): self.by = by\n"
        "    def __call__(self, images, draws): return images // self.by\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    theirs = ("targets=[cnnlab,keras,dimming]", "+augmentation.dim._target_=dimming.Dim", "+augmentation.dim.by=2")
    with np.load(visualize("augmentation=none", "method.strengths=[2]", *theirs) / "images.npz") as arrays:
        np.testing.assert_array_equal(arrays["dim/×2"], arrays["original"] // 4)


def test_without_augmentation_there_are_just_the_originals(visualize, capsys):
    folder = visualize("augmentation=none")
    assert capsys.readouterr().out == f"{folder}\n"
    assert {path.name for path in folder.iterdir()} == {"pipeline.png", "images.npz", "config.yaml"}


def test_the_same_command_draws_the_same_arrays_again(visualize, chain):
    assert (visualize(*CHAIN) / "images.npz").read_bytes() == (chain / "images.npz").read_bytes()


def test_a_failure_leaves_the_figures_of_an_earlier_call(visualize, tmp_path, capsys):
    folder = visualize("augmentation=shift")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    given = ["augmentation=mixup", "method.images=3", f"hydra.run.dir={tmp_path}/figures"]
    assert cli.main(["visualize", "method=augmentation", *SMALL, *given]) == 2
    assert "error: method.images=3: mixup mixes images in pairs" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("method=augmentatoin", "augmentation"),
        ("method.images=0", "method.images=0: must be at least 1"),
        ("method.strengths=[-1]", "must be at least 0"),
        ("method.image=4", "did you mean images?"),
    ],
)
def test_mistakes_are_told_in_one_line(override, message, tmp_path, capsys):
    assert cli.main(["visualize", "method=augmentation", override, f"hydra.run.dir={tmp_path}/figures"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
