"""SqueezeNet 1.1."""

import keras
import numpy as np
import pytest

from cnnlab.models.squeezenet import squeezenet

SMALL = (31, 31, 3)


def test_it_has_the_published_size():
    network = squeezenet((227, 227, 3), 1000)
    assert network.count_params() == 1_235_496
    shapes = [network.get_layer(name).output.shape[1:] for name in ("conv1", "fire3_concat", "pool5", "fire9_concat")]
    assert shapes == [(113, 113, 64), (56, 56, 128), (13, 13, 256), (13, 13, 512)]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_the_smallest_image_gives_float32_logits(policy):
    keras.config.set_dtype_policy(policy)
    logits = squeezenet(SMALL, 3)(np.zeros((2, *SMALL), "float32"))
    assert (logits.shape, logits.dtype) == ((2, 3), "float32")


def test_its_options_act():
    arguments = {"dropout": 0.0, "batch_norm": True, "l2": 0.1, "activation": "elu", "final_activation": True}
    network = squeezenet(SMALL, 3, **arguments)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds.count("BatchNormalization") == kinds.count("Activation") == kinds.count("Conv2D") == 26
    assert "Dropout" not in kinds
    assert len(network.losses) == 26
    assert {layer.activation.__name__ for layer in network.layers if type(layer).__name__ == "Activation"} == {"elu"}
