"""What a layer costs; what training keeps and inference does not."""

import keras
import pytest

from cnnlab.mechanics.memory import (
    example_network,
    held_in_inference,
    held_in_training,
    mebibytes,
    memory_chapter,
)
from cnnlab.models.cost import layer_costs
from cnnlab.models.memory import inference_bytes, training_bytes


def test_the_layer_costs_what_is_known():
    layer = layer_costs(example_network(), batch_size=1)[1]
    assert layer.output_shape == (150, 100, 200)
    assert (layer.params, layer.macs, layer.batch_activation_bytes) == (15_200, 225_000_000, 12_000_000)
    values = memory_chapter().values
    assert (values["parameters"], values["multiplications"]) == ("15,200", "225 million")
    assert (values["memory"], values["memory_16"]) == ("11.4 MiB", "5.7 MiB")


def test_inference_holds_two_layers_at_a_time():
    assert held_in_inference([3, 10, 4, 1]) == [13, 14, 5]


def test_training_keeps_all_and_adds_the_gradients_on_the_way_back():
    assert held_in_training([3, 10, 4, 1]) == [13, 17, 18, 18 + 1 + 4, 17 + 4 + 10, 13 + 10]


def test_the_table_agrees_with_the_memory_that_inspect_counts():
    network = example_network()
    sizes = [cost.batch_activation_bytes for cost in layer_costs(network, batch_size=1)]
    assert max(held_in_inference(sizes)) == inference_bytes(network, 1)
    logits = sizes[-1]  # their gradient is computed from the layer's input alone
    assert held_in_training(sizes)[len(sizes) - 2] == training_bytes(network, 1) + logits


def test_a_deeper_network_takes_more_in_training_only():
    def peaks(depth):
        inputs = tensor = keras.Input((8, 8, 4))
        for _ in range(depth):
            tensor = keras.layers.Conv2D(4, 3, padding="same")(tensor)
        sizes = [cost.batch_activation_bytes for cost in layer_costs(keras.Model(inputs, tensor), batch_size=1)]
        return max(held_in_inference(sizes)), max(held_in_training(sizes))

    (shallow_inference, shallow_training), (deep_inference, deep_training) = peaks(3), peaks(9)
    assert deep_inference == shallow_inference
    assert deep_training == shallow_training + 6 * (8 * 8 * 4) * 4


@pytest.mark.parametrize(("size", "words"), [(12_000_000, "11.4 MiB"), (2**16, "0.06 MiB"), (3 * 2**29, "1.5 GiB")])
def test_sizes_in_words(size, words):
    assert mebibytes(size) == words
