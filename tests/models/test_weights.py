"""Starting from the weights in a file."""

import keras
import numpy as np
import pytest
from omegaconf import OmegaConf

from cnnlab.data.dataset import Split
from cnnlab.errors import UserError
from cnnlab.models.build import build_preprocessing, export, fit_preprocessing
from cnnlab.models.mnist_cnn import mnist_cnn
from cnnlab.models.weights import load_weights

SHAPE = (20, 20, 1)


def parts(normalization: bool = True, num_classes: int = 3) -> tuple[keras.Model, keras.Model]:
    node = OmegaConf.create({"rescaling": True, "normalization": normalization, "zca_epsilon": None})
    return build_preprocessing(node, SHAPE), mnist_cnn(SHAPE, num_classes)


@pytest.fixture
def images(rng) -> np.ndarray:
    return rng.integers(0, 100, (30, *SHAPE), np.uint8)


@pytest.fixture
def trained(images) -> tuple[keras.Model, keras.Model]:
    preprocessing, network = parts()
    fit_preprocessing(preprocessing, Split(images, np.zeros(30, np.int32)), seed=0)
    return preprocessing, network


def test_a_runs_model_brings_its_weights_and_its_preprocessing(tmp_path, trained, images):
    path = tmp_path / "model.keras"
    exported = export(*trained)
    exported.save(path)
    fresh = parts()
    load_weights(str(path), *fresh)
    np.testing.assert_array_equal(export(*fresh)(images), exported(images))


@pytest.mark.parametrize("name", ["network.keras", "network.weights.h5"])
def test_a_network_alone_leaves_the_preprocessing(tmp_path, trained, images, name):
    path = tmp_path / name
    save = trained[1].save_weights if name.endswith(".h5") else trained[1].save
    save(path)
    preprocessing, network = parts()
    before = np.asarray(preprocessing(images))
    load_weights(str(path), preprocessing, network)
    np.testing.assert_array_equal(preprocessing(images), before)
    for ours, theirs in zip(network.get_weights(), trained[1].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_another_head_is_refused_with_both_shapes(tmp_path, trained):
    path = tmp_path / "model.keras"
    export(*trained).save(path)
    with pytest.raises(UserError, match=r"logits/kernel has the shape \(128, 3\), logits/kernel \(128, 4\)"):
        load_weights(str(path), *parts(num_classes=4))


def test_another_network_is_refused(tmp_path, trained):
    path = tmp_path / "model.keras"
    export(*trained).save(path)
    deeper = mnist_cnn(SHAPE, 3, batch_norm=True)
    with pytest.raises(UserError, match=r"has 10 weights, mnist_cnn has 22; set model=…"):
        load_weights(str(path), parts()[0], deeper)


def test_weights_of_another_network_are_refused(tmp_path, trained):
    path = tmp_path / "network.weights.h5"
    trained[1].save_weights(path)
    with pytest.raises(UserError, match=r"network.weights.h5: .*name=logits.*\(128, 4\).*\(128, 3\)"):
        load_weights(str(path), *parts(num_classes=4))


def test_other_preprocessing_is_refused(tmp_path, trained):
    path = tmp_path / "model.keras"
    export(*trained).save(path)
    with pytest.raises(UserError, match="preprocessing rescaling, normalization, not rescaling"):
        load_weights(str(path), *parts(normalization=False))


@pytest.mark.parametrize(
    ("name", "reason"), [("absent.keras", "no such file"), ("weights.pt", "must end in .keras or .weights.h5")]
)
def test_a_missing_file_or_another_kind_is_refused(tmp_path, name, reason):
    with pytest.raises(UserError, match=reason):
        load_weights(str(tmp_path / name), *parts())


@pytest.mark.parametrize("name", ["damaged.keras", "damaged.weights.h5"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"no model at all")
    with pytest.raises(UserError, match=name) as error:
        load_weights(str(tmp_path / name), *parts())
    assert "\n" not in str(error.value)
