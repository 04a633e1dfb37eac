"""The networks of "Striving for simplicity": tables 1 and 2, and the forms that circulate."""

import keras
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.models.all_cnn_c import all_cnn_c
from cnnlab.models.all_cnn_large import all_cnn_large
from cnnlab.models.springenberg import springenberg

SHAPE = (32, 32, 3)
TAIL = ["3x3 192", "1x1 192", "1x1 10"]
TABLES = {
    ("a", "pool", "model_a"): ["5x5 96", "pool", "5x5 192", "pool"],
    ("a", "stride", "strided_cnn_a"): ["5x5 96 /2", "5x5 192 /2"],
    ("a", "conv_pool", "convpool_cnn_a"): ["5x5 96", "3x3 96", "pool", "5x5 192", "3x3 192", "pool"],
    ("a", "conv_stride", "all_cnn_a"): ["5x5 96", "3x3 96 /2", "5x5 192", "3x3 192 /2"],
    ("b", "pool", "model_b"): ["5x5 96", "1x1 96", "pool", "5x5 192", "1x1 192", "pool"],
    ("b", "stride", "strided_cnn_b"): ["5x5 96", "1x1 96 /2", "5x5 192", "1x1 192 /2"],
    ("b", "conv_stride", "all_cnn_b"): ["5x5 96", "1x1 96", "3x3 96 /2", "5x5 192", "1x1 192", "3x3 192 /2"],
    ("c", "pool", "model_c"): ["3x3 96", "3x3 96", "pool", "3x3 192", "3x3 192", "pool"],
    ("c", "stride", "strided_cnn_c"): ["3x3 96", "3x3 96 /2", "3x3 192", "3x3 192 /2"],
    ("c", "conv_pool", "convpool_cnn_c"): [*["3x3 96"] * 3, "pool", *["3x3 192"] * 3, "pool"],
    ("c", "conv_stride", "all_cnn_c"): [*["3x3 96"] * 2, "3x3 96 /2", *["3x3 192"] * 2, "3x3 192 /2"],
}


def images(shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(0).random((2, *shape), np.float32)


def rows(network: keras.Model) -> list[str]:
    """A network as the paper's tables write it."""
    written = []
    for layer in network.layers:
        if isinstance(layer, keras.layers.MaxPooling2D):
            assert (layer.pool_size, layer.strides) == ((3, 3), (2, 2))
            written.append("pool")
        elif isinstance(layer, keras.layers.Conv2D):
            height, width = layer.kernel_size
            stride = f" /{layer.strides[0]}" if layer.strides != (1, 1) else ""
            written.append(f"{height}x{width} {layer.filters}{stride}")
    return written


def side_of_final_maps(network: keras.Model) -> int:
    return network.get_layer("logits").input.shape[1]


@pytest.mark.parametrize(("base", "downsampling", "name"), TABLES)
def test_layers_are_those_of_the_tables(base, downsampling, name):
    network = springenberg(SHAPE, 10, base=base, downsampling=downsampling)
    assert network.name == name
    assert rows(network) == TABLES[base, downsampling, name] + TAIL
    assert side_of_final_maps(network) == 6


@pytest.mark.parametrize("downsampling", ["pool", "stride"])
def test_halved_maps_and_the_input_are_dropped_out(downsampling):
    network = springenberg(SHAPE, 10, base="c", downsampling=downsampling, dropout=0.4, input_dropout=0.1)
    halved = "pool" if downsampling == "pool" else "conv"
    dropped = {layer.name: layer.rate for layer in network.layers if isinstance(layer, keras.layers.Dropout)}
    names = [f"{halved}1_dropout", f"{halved}2_dropout"] if halved == "pool" else ["conv2_dropout", "conv4_dropout"]
    assert dropped == {"input_dropout": 0.1, names[0]: 0.4, names[1]: 0.4}


def test_the_last_3x3_convolution_may_be_padded():
    assert side_of_final_maps(springenberg(SHAPE, 10, base="a", downsampling="pool", last_padding="same")) == 8
    assert side_of_final_maps(all_cnn_c(SHAPE, 10, last_padding="same")) == 8


@pytest.mark.parametrize("final_activation", [True, False])
def test_the_class_maps_may_have_an_activation_as_in_the_table(final_activation):
    networks = [
        springenberg(SHAPE, 10, base="a", downsampling="stride", final_activation=final_activation),
        all_cnn_c(SHAPE, 10, final_activation=final_activation),
    ]
    for network in networks:
        assert (np.min(network(images(SHAPE))) >= 0) == final_activation
    assert networks[1].count_params() == 1_369_738


def test_logits_are_the_means_of_the_class_maps():
    network = all_cnn_c(SHAPE, 10)
    assert network.get_layer("conv9").output.shape == (None, 6, 6, 10)
    maps = keras.Model(network.input, network.get_layer("conv9").output)
    x = images(SHAPE)
    np.testing.assert_allclose(network(x), np.mean(maps(x), axis=(1, 2)), rtol=1e-4)


def test_images_of_other_sizes_are_taken():
    assert all_cnn_c((40, 48, 1), 3)(images((40, 48, 1))).shape == (2, 3)


def test_all_cnn_c_keeps_the_names_and_the_order_its_saved_models_have():
    network = all_cnn_c(SHAPE, 10, batch_norm=True, dropout=0.0, input_dropout=0.0)
    blocks = [f"conv{number}{part}" for number in range(1, 9) for part in ("", "_bn", "_act")]
    assert [layer.name for layer in network.layers] == ["images", *blocks, "conv9", "logits"]


def test_all_cnn_c_may_have_a_wider_third_convolution():
    network = all_cnn_c(SHAPE, 10, conv3_filters=192)
    assert rows(network)[2] == "3x3 192 /2"
    assert network.count_params() == 1_369_738 + (9 * 96 + 1) * 96 + 9 * 96 * 192


def test_all_cnn_c_may_do_without_activation_after_its_strided_convolutions():
    network = all_cnn_c(SHAPE, 10, strided_activation=False)
    names = {layer.name for layer in network.layers}
    without = {name for name in names if name[4:].isdigit() and f"{name}_act" not in names}
    assert without == {"conv3", "conv6", "conv9"}
    assert {"conv3_dropout", "conv6_dropout"} < names


def test_the_large_net_ends_in_one_pixel_of_a_canvas_of_126():
    network = all_cnn_large((126, 126, 3), 10, width=0.01)
    sides = [network.get_layer(f"conv{number}").output.shape[1] for number in (3, 6, 9, 12, 15, 16, 18)]
    assert sides == [62, 30, 14, 6, 2, 1, 1]
    assert all_cnn_large((160, 126, 3), 10, width=0.01)(images((160, 126, 3))).shape == (2, 10)


def test_the_large_nets_dropout_rises_from_triple_to_triple():
    network = all_cnn_large((126, 126, 3), 10, width=0.01)
    rates = {layer.name: layer.rate for layer in network.layers if isinstance(layer, keras.layers.Dropout)}
    published = {4: 0.1, 5: 0.1, 7: 0.2, 8: 0.2, 10: 0.3, 11: 0.3, 13: 0.4, 14: 0.4, 16: 0.5, 17: 0.5}
    assert rates == pytest.approx({f"conv{number}_dropout": rate for number, rate in published.items()})


def test_the_large_nets_width_is_a_multiplier():
    assert rows(all_cnn_large((126, 126, 3), 7, width=0.1)) == [
        *["2x2 32", "2x2 32", "2x2 32 /2"],
        *["2x2 64", "2x2 64", "2x2 64 /2"],
        *["2x2 96", "2x2 96", "2x2 96 /2"],
        *["2x2 128", "2x2 128", "2x2 128 /2"],
        *["2x2 160", "2x2 160", "2x2 160 /2"],
        *["2x2 192", "1x1 192", "1x1 7"],
    ]
    with pytest.raises(UserError, match=r"model.width=0: must be greater than 0"):
        all_cnn_large((126, 126, 3), 10, width=0)
