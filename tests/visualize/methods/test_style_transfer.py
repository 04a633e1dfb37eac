"""`cnnlab visualize method=style_transfer`: losses, optimizers, colours, and the command, on small images."""

import csv
import inspect
from importlib.resources import files as resources

import keras
import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf
from PIL import Image
from sklearn.datasets import load_sample_images

from cnnlab import cli
from cnnlab.errors import UserError
from cnnlab.visualize.methods.style_transfer import draw_style_transfer, transfer
from cnnlab.visualize.style.features import build_features, with_average_pooling
from cnnlab.visualize.style.images import luminance, match_colors, read_photograph, resized
from cnnlab.visualize.style.losses import LossWeights, build_losses, gram_matrices
from cnnlab.visualize.style.optimizers import Descent, descend, losses_and_gradient

CONTENT, STYLE = ["fire3_concat"], {"conv1_act": 0.5, "fire2_concat": 0.5}


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    """The temple and the flower, 40 and 48 pixels wide."""
    images = [image.astype(np.float32) for image in load_sample_images().images]
    return [resized(image, size) for image, size in zip(images, [(32, 40), (36, 48)], strict=True)]


@pytest.fixture(scope="module")
def features() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_features("squeezenet", None, content_layers=CONTENT, style_layers=list(STYLE), pooling="max")


def weights(content=1.0, style=10.0, total_variation=0.1) -> LossWeights:
    return LossWeights(CONTENT, STYLE, content, style, total_variation)


def descent(optimizer="lbfgs", iterations=15) -> Descent:
    return Descent(optimizer, iterations, learning_rate=5.0, progress_every=10)


@pytest.fixture
def files(photographs, tmp_path) -> list[str]:
    paths = []
    for name, image in zip(("content, a=b.png", "style.png"), photographs, strict=True):
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / name)
        paths.append(str(tmp_path / name))
    return paths


def test_a_copy_with_average_pooling_normalises_alike():
    layers = [keras.layers.Normalization(), keras.layers.MaxPooling2D(1)]
    model = keras.Sequential([keras.Input((2, 2, 3)), *layers])
    image = np.random.default_rng(0).uniform(size=(1, 2, 2, 3)).astype("float32")
    layers[0].adapt(image)
    np.testing.assert_allclose(with_average_pooling(model)(image), model(image), rtol=1e-5)


def test_gram_matrices_are_those_of_numpy():
    maps = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype(np.float32)
    vectors = maps.reshape(2, 35, 3)
    np.testing.assert_allclose(gram_matrices(maps), np.einsum("npi,npj->nij", vectors, vectors) / 35, rtol=1e-4)


def test_an_image_has_its_own_content_and_style(features, photographs):
    image = tf.constant(photographs[0][np.newaxis])
    losses = build_losses(features, image, image, weights(1.0, 1.0, 0.0))
    np.testing.assert_allclose(losses(image), 0, atol=1e-6)
    maps = features(image)
    nothing = build_losses(
        lambda _: {name: tf.zeros_like(each) for name, each in maps.items()}, image, image, weights()
    )
    np.testing.assert_allclose(nothing(image)[:2], 0)  # nothing aimed at, nothing lost


def test_without_content_layers_the_style_alone_counts_and_without_style_layers_the_content(features, photographs):
    content, style = (tf.constant(image[np.newaxis]) for image in photographs)
    both = build_losses(features, content, style, weights())(0.5 * content)
    of_style = build_losses(features, content, style, LossWeights([], STYLE, 1.0, 10.0, 0.1))(0.5 * content)
    of_content = build_losses(features, content, style, LossWeights(CONTENT, {}, 1.0, 10.0, 0.1))(0.5 * content)
    np.testing.assert_allclose(of_style, [0, both[1], both[2]], rtol=1e-5)
    np.testing.assert_allclose(of_content, [both[0], 0, both[2]], rtol=1e-5)
    with pytest.raises(UserError, match=r"method\.style_layers=\[\]: give at least one layer of either"):
        build_features("squeezenet", None, content_layers=[], style_layers=[], pooling="max")


def test_the_gradient_is_that_of_central_differences(features, photographs):
    content, style = (tf.constant(image[np.newaxis]) for image in photographs)
    evaluate = losses_and_gradient(build_losses(features, content, style, weights(total_variation=0.0)))
    start = 0.5 * content + 60
    direction = np.random.default_rng(0).normal(size=start.shape).astype(np.float32)
    step = 0.01  # small beside the distance to the rectifiers' kinks
    above, below = (np.sum(evaluate(start + sign * step * direction)[0], dtype=np.float64) for sign in (1, -1))
    slope = np.sum(evaluate(start)[1] * direction, dtype=np.float64)
    np.testing.assert_allclose(slope, (above - below) / (2 * step), rtol=0.05)


@pytest.mark.parametrize("size", [4, 64])
def test_a_step_of_adam_is_of_as_many_grey_levels_in_an_image_of_any_size(size):
    def losses(image: tf.Tensor) -> tf.Tensor:
        return tf.stack([1e-4 * tf.reduce_mean((image / 255) ** 2), 0.0, 0.0])

    start = np.full((size, size, 3), 100, np.float32)
    found = descend(losses, start, descent("adam", iterations=1), "test")
    np.testing.assert_allclose(found.result, start - 5.0, rtol=1e-3)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_the_loss_falls_and_every_value_stays_in_range(features, photographs, optimizer):
    content, style = (tf.constant(image[np.newaxis]) for image in photographs)
    losses = build_losses(features, content, style, weights())
    found = descend(losses, photographs[0], descent(optimizer), "test")
    totals = found.losses.sum(axis=1)
    assert len(totals) == 16
    assert totals[-1] < 0.8 * totals[0]
    assert sorted(found.images) == [0, 10, 15]
    assert found.result.min() >= 0
    assert found.result.max() <= 255


def test_without_style_the_content_stays_what_it_is(features, photographs):
    found = transfer(features, *photographs, weights(style=0.0, total_variation=0.0), descent(), longest=40)
    np.testing.assert_allclose(found[-1].result, photographs[0], atol=0.5)


def test_scales_go_from_coarse_to_fine(features, photographs):
    found = transfer(features, *photographs, weights(), descent(iterations=2), longest=64, scales=2)
    assert [each.result.shape for each in found] == [(26, 32, 3), (51, 64, 3)]


def test_noise_is_repeated_by_its_seed(features, photographs):
    starts = [
        transfer(
            features, *photographs, weights(), descent(iterations=1), longest=40, noise=np.random.default_rng(seed)
        )[0].images[0]
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(starts[0], starts[1])
    assert not np.array_equal(starts[0], starts[2])


def test_recoloured_images_have_the_others_colours(photographs):
    reference = 0.3 * photographs[1] + 80  # mid-grey, so that nothing is cut off
    matched = match_colors(photographs[0], reference)
    ours, theirs = (image.reshape(-1, 3) for image in (matched, reference))
    np.testing.assert_allclose(ours.mean(axis=0), theirs.mean(axis=0), rtol=0.01)
    np.testing.assert_allclose(np.cov(ours.T), np.cov(theirs.T), rtol=0.05, atol=5)


def test_average_pooling_takes_the_place_of_the_maximum(photographs):
    averaging = build_features("squeezenet", None, content_layers=CONTENT, style_layers=[], pooling="average")
    kinds = {type(layer) for layer in averaging.layers}
    assert keras.layers.AveragePooling2D in kinds
    assert keras.layers.MaxPooling2D not in kinds


def test_a_photograph_is_turned_upright(tmp_path):
    image = Image.new("RGB", (6, 4), "red")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert read_photograph(str(tmp_path / "turned.jpg"), "method.content").shape == (6, 4, 3)


def test_the_result_has_the_contents_size_and_keeps_its_colours(files, tmp_path, photographs):
    given = [f"method.content={files[0]}", f"method.style={files[1]}", "method.weights=null", "method.size=48"]
    more = ["method.iterations=4", "method.progress_every=2", "method.preserve_colors=luminance"]
    command = ["visualize", "method=style_transfer_squeezenet", f"hydra.run.dir={tmp_path}/out", *given, *more]
    assert cli.main(command) == 0
    folder = tmp_path / "out" / "style_transfer_squeezenet"
    assert {"result.png", "progress.png", "loss.png", "loss.csv", "images.npz"} <= {p.name for p in folder.iterdir()}
    with Image.open(folder / "result.png") as picture:
        result = np.asarray(picture, np.float32)
        assert picture.text["Seed"] == "0"
    assert result.shape == photographs[0].shape
    inside = ((result > 5) & (result < 250)).all(axis=-1)  # where nothing was cut off
    original = photographs[0].astype(np.uint8).astype(np.float32)
    chroma = (result - luminance(result)) - (original - luminance(original))
    assert np.abs(chroma[inside]).max() < 3
    with (folder / "loss.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["iteration"]) for row in rows] == [0, 1, 2, 3, 4]


@pytest.mark.filterwarnings("error")
def test_where_nothing_has_a_weight_the_content_comes_out(files, tmp_path):
    given = [f"method.content={files[0]}", f"method.style={files[1]}", "method.weights=null", "method.iterations=2"]
    nothing = [
        "method.style_weight=0",
        "method.total_variation_weight=0",
        "method.style_layers=[conv1_act]",
        "method.size=null",
    ]
    command = ["visualize", "method=style_transfer_squeezenet", f"hydra.run.dir={tmp_path}/out", *given, *nothing]
    assert cli.main(command) == 0
    with Image.open(files[0]) as content, Image.open(tmp_path / "out/style_transfer_squeezenet/result.png") as result:
        np.testing.assert_array_equal(np.asarray(result), np.asarray(content))


def test_the_function_has_the_defaults_of_the_yaml():
    options = OmegaConf.to_container(
        OmegaConf.create((resources("cnnlab.conf") / "method/style_transfer.yaml").read_text())
    )
    parameters = inspect.signature(draw_style_transfer).parameters.values()
    defaults = {each.name: each.default for each in parameters if each.default is not inspect.Parameter.empty}
    written = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    assert defaults == {name: value for name, value in written.items() if name not in ("_target_", "name")}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("method.style=null", "method.style: has no value; give method.style=FILE"),
        ("method.content=nowhere.png", "method.content=nowhere.png: no such file"),
        (
            "method.style_layers=[fire2_concta]",
            "method.style_layers=fire2_concta: no such layer; did you mean fire2",
        ),
        ("method.style_layer_weights=[1,2]", "2 weights for 5 layers"),
        ("method.size=4", "pixels are too few for layer"),
    ],
)
def test_mistakes_are_told_in_one_line(files, tmp_path, capsys, override, message):
    given = [f"method.content={files[0]}", f"method.style={files[1]}", "method.weights=null", override]
    command = ["visualize", "method=style_transfer_squeezenet", f"hydra.run.dir={tmp_path}/out", *given]
    assert cli.main(command) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


@pytest.mark.parametrize(
    ("image", "seen"),
    [
        (Image.new("RGBA", (2, 1), (0, 0, 0, 0)), [255, 255]),
        (Image.fromarray(np.array([[300, 4000]], np.uint16)), [0, 255]),
    ],
    ids=["transparent", "16 bits"],
)
def test_a_photograph_is_read_as_viewers_show_it_and_a_conversion_is_told(image, seen, tmp_path, caplog):
    caplog.set_level("INFO", "cnnlab")
    image.save(tmp_path / "odd.png")
    read = read_photograph(str(tmp_path / "odd.png"), "method.content")
    np.testing.assert_array_equal(read, np.repeat(np.float32([seen])[..., np.newaxis], 3, axis=-1))
    (told,) = caplog.messages
    assert told.endswith(f"odd.png: PNG {image.mode}, is converted to 8-bit RGB")


def test_a_file_that_is_no_image_is_refused(files, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("no image")
    given = [f"method.content={tmp_path}/text.jpg", f"method.style={files[1]}", "method.weights=null"]
    assert cli.main(["visualize", "method=style_transfer_squeezenet", f"hydra.run.dir={tmp_path}/out", *given]) == 2
    assert "text.jpg: cannot be read as an image" in capsys.readouterr().err
