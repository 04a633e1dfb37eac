"""A backbone of KerasHub: a small preset that is saved here stands for those that are downloaded."""

from importlib.util import find_spec

import keras
import numpy as np
import pytest

from cnnlab import cli
from cnnlab.errors import UserError
from cnnlab.initializers.kernels import kernels
from cnnlab.models.hub import hub
from cnnlab.models.network import build_network

needs_hub = pytest.mark.skipif(find_spec("keras_hub") is None, reason="keras-hub is not installed")
SHAPE = (32, 32, 3)


@pytest.fixture(scope="module")
def preset(tmp_path_factory) -> str:
    import keras_hub

    folder = str(tmp_path_factory.mktemp("presets") / "tiny")
    keras_hub.models.VGGBackbone(
        stackwise_num_repeats=[1, 1], stackwise_num_filters=[4, 8], image_shape=(None, None, 3)
    ).save_to_preset(folder)
    keras_hub.layers.ImageConverter(image_size=(32, 32), scale=1 / 127.5, offset=-1.0).save_to_preset(folder)
    return folder


@needs_hub
def test_the_head_reads_what_the_preset_makes_of_its_own_scaling(preset):
    import keras_hub

    network = hub(SHAPE, 5, preset=preset)
    images = np.random.default_rng(0).integers(0, 256, (2, *SHAPE)).astype("float32")
    maps = keras_hub.models.Backbone.from_preset(preset)(images / 127.5 - 1)
    pooled = keras.Model(network.input, network.get_layer("pooling").output)(images)
    np.testing.assert_allclose(pooled, keras.ops.mean(maps, axis=(1, 2)), rtol=1e-4, atol=1e-6)
    assert network.output_shape == (None, 5)


@needs_hub
def test_only_the_head_is_trained_or_the_last_layers_too(preset):
    assert len(hub(SHAPE, 5, preset=preset).trainable_variables) == 2
    layers = [layer.name for layer in hub(SHAPE, 5, preset=preset).get_layer("backbone").layers]
    assert len(hub(SHAPE, 5, preset=preset, fine_tune_from=layers[-2]).trainable_variables) == 4
    with pytest.raises(
        UserError, match=rf"^model\.fine_tune_from={layers[1]}x: no such layer .*; did you mean {layers[1]}"
    ):
        hub(SHAPE, 5, preset=preset, fine_tune_from=f"{layers[1]}x")


@needs_hub
def test_an_initializer_spares_the_presets_weights(preset):
    network = hub(SHAPE, 5, preset=preset)
    tuned = hub(SHAPE, 5, preset=preset, fine_tune_from=network.get_layer("backbone").layers[1].name)
    assert [each.variable.path for each in kernels(tuned)] == ["logits/kernel"]


@needs_hub
def test_images_of_another_size_than_the_presets_are_told(preset, caplog):
    hub((48, 48, 3), 5, preset=preset)
    assert f"model.preset={preset}: its images are [32,32] pixels, yours [48,48]" in caplog.text


@needs_hub
def test_without_its_weights_only_its_form_is_read(preset):
    from omegaconf import OmegaConf

    group = {"_target_": "cnnlab.models.hub.hub", "name": "hub", "head": "softmax", "preset": preset}
    node = OmegaConf.create({**group, "weights": "preset", "preprocessing": {}})
    loaded, fresh = (build_network(node, SHAPE, 5, pretrained=given) for given in (True, False))
    kernels = [network.get_layer("backbone").get_weights()[0] for network in (loaded, fresh)]
    assert not np.array_equal(*kernels)


@needs_hub
def test_what_is_no_preset_is_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"^model\.preset=nowhere: ") as refused:
        hub(SHAPE, 5, preset="nowhere")
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match=r"^input_shape=\[32,32,1\]: .* three colours; use input_shape=\[32,32,3\]"):
        hub((32, 32, 1), 5, preset="nowhere")


@needs_hub
def test_it_trains_resumes_and_opens_with_keras_alone(preset, tmp_path):
    run = tmp_path / "run"
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (8, *SHAPE), dtype=np.uint8), np.arange(8) % 2
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y, x_validation=x, y_validation=y)
    data = ("dataset=arrays", f"dataset.root={tmp_path}/data.npz", "trainer.batch_size=4", "trainer.progress=none")
    given = (
        "model=hub",
        f"model.preset={preset}",
        "augmentation=none",
        "input_shape=[32,32,3]",
        *data,
        f"hydra.run.dir={run}",
    )
    assert cli.main(["train", *given, "trainer.steps=2"]) == 0
    assert cli.main(["train", f"resume={run}", "trainer.steps=4"]) == 0
    assert keras.models.load_model(run / "model.keras")(x).shape == (8, 2)


@pytest.mark.skipif(find_spec("keras_hub") is not None, reason="keras-hub is installed")
def test_without_the_extra_it_is_refused_with_what_to_install(capsys):
    assert cli.main(["train", "model=hub", "model.preset=resnet_18_imagenet"]) == 2
    assert "error: model=hub: keras-hub is not installed; pip install 'cnnlab[hub]'" in capsys.readouterr().err
