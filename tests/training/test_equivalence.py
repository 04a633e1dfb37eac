"""However the steps reach the device, they are the same steps."""

import numpy as np
import pandas as pd
import pytest

from cnnlab import cli

SMALL = ("input_shape=[8,8,1]", "model.padding=same", "trainer.batch_size=64", "trainer.precision=float32")
AUGMENTED = (
    *("augmentation=shift_flip", "augmentation.shift_flip.shift=1", "optimizer=sgd", "optimizer.learning_rate=0.05"),
    "model.dropout=0.0",  # XLA draws other masks
)
ONE_EPOCH = (*AUGMENTED, "trainer.epochs=1")


def assert_same_rows(run, other, tolerance: float) -> None:
    for name in ("metrics.csv", "steps.csv"):
        first, second = pd.read_csv(run / name), pd.read_csv(other / name)
        timing = ["seconds", "images_per_second"]
        first, second = first.drop(columns=timing, errors="ignore"), second.drop(columns=timing, errors="ignore")
        if tolerance == 0:
            pd.testing.assert_frame_equal(first, second, check_exact=True)
        else:
            pd.testing.assert_frame_equal(first, second, rtol=tolerance, atol=tolerance)


@pytest.fixture(scope="module")
def reference(train):
    return train(*ONE_EPOCH)


def test_streamed_images_give_the_same_bits_as_cached_ones(train, reference):
    assert_same_rows(reference, train(*ONE_EPOCH, "trainer.data=stream"), tolerance=0)


def test_several_steps_in_one_call_give_the_same_bits(train, reference):
    assert_same_rows(reference, train(*ONE_EPOCH, "trainer.steps_per_call=4"), tolerance=0)


@pytest.mark.slow
def test_xla_gives_the_same_to_rounding(cnnlab_process, reference, tmp_path):
    run = tmp_path / "run"  # a process of its own: TensorFlow cannot take back that operations be deterministic
    process = cnnlab_process("train", *SMALL, *ONE_EPOCH, "trainer.jit=true", f"hydra.run.dir={run}")
    _, messages = process.communicate()
    assert process.returncode == 0, messages
    assert_same_rows(reference, run, tolerance=1e-4)


@pytest.mark.slow
def test_lookahead_goes_on_where_it_stopped(train, reference):
    arguments = (*AUGMENTED, "optimizer.lookahead_every=4")
    whole, parts = train(*arguments), train(*arguments, "trainer.epochs=1")
    losses = [pd.read_csv(run / "steps.csv").loss for run in (parts, reference)]
    assert (losses[0] != losses[1]).any()
    assert cli.main(["train", f"resume={parts}", "trainer.epochs=2"]) == 0
    assert_same_rows(whole, parts, tolerance=0)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_learns_what_float32_learns(train, reference, precision):
    run = train(*ONE_EPOCH, f"trainer.precision={precision}")
    losses = pd.read_csv(run / "steps.csv").loss.to_numpy()
    np.testing.assert_allclose(losses, pd.read_csv(reference / "steps.csv").loss, atol=0.05)


def test_image_files_give_the_same_bits_streamed_and_cached(train, tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for split, count in (("train", 24), ("validation", 8)):
        for label, name in enumerate(("dark", "light")):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 100, (20 + number, 30, 3)) + 120 * label
                Image.fromarray(pixels.astype("uint8")).save(folder / f"{number}.png")
    common = (
        *("dataset=image_folder", f"dataset.root={tmp_path}", "input_shape=[16,16,3]", "trainer.batch_size=8"),
        *("model=mnist_cnn", "trainer.epochs=5"),
    )
    cached, streamed = train(*common, "trainer.data=cached"), train(*common, "trainer.data=stream")
    assert_same_rows(cached, streamed, tolerance=0)
    assert pd.read_csv(streamed / "metrics.csv").val_accuracy.iloc[-1] > 0.9


def test_a_damaged_image_is_left_out_and_told_whichever_way_images_are_read(train, tmp_path, capsys):
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(20):
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(tmp_path / name / f"{number}.jpg")
    victim = tmp_path / "a" / "7.jpg"
    victim.write_bytes(victim.read_bytes()[:300])
    data = ("dataset=image_folder", f"dataset.root={tmp_path}", "dataset.validation=none", "model=mnist_cnn")
    short = ("input_shape=[16,16,3]", "trainer.batch_size=8", "trainer.epochs=1")
    for mode in ("stream", "cached"):
        run = train(*data, *short, f"trainer.data={mode}")
        assert "train: 39 images of 2 classes" in capsys.readouterr().err
        assert f"{victim},damaged: " in (run / "skipped_files.csv").read_text()
    train(*data, *short, "dataset.on_error=stop", code=2)
    assert f"error: {victim}: damaged: " in capsys.readouterr().err
