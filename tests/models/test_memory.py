"""How much memory activations take; all sizes are in float32 values of one image, four bytes each."""

import keras
import pytest

from cnnlab.models.layers import BatchNormalization, LocalResponseNormalization
from cnnlab.models.memory import inference_bytes, training_bytes
from cnnlab.models.mnist_cnn import mnist_cnn

L = keras.layers
VALUE = 4


def chain(*layers: keras.layers.Layer, shape: tuple[int, ...] = (4, 4, 2)) -> keras.Model:
    x = images = keras.Input(shape)
    for layer in layers:
        x = layer(x)
    return keras.Model(images, x)


def test_inference_holds_the_input_and_output_of_the_largest_layer():
    network = chain(L.Conv2D(8, 3), L.Conv2D(1, 1))  # 32 -> 2x2x8 -> 2x2x1
    assert inference_bytes(network, batch_size=1) == (32 + 32) * VALUE
    assert inference_bytes(network, batch_size=10) == 10 * (32 + 32) * VALUE


def test_inference_reuses_the_memory_of_what_only_changes_shape_or_is_overwritten():
    network = chain(L.Conv2D(8, 3), L.Activation("relu"), L.Dropout(0.5), L.Flatten())
    assert inference_bytes(network, 1) == (32 + 32) * VALUE


def test_an_activation_overwrites_nothing_that_is_still_needed():
    images = keras.Input((4, 4, 2))
    x = L.Conv2D(2, 1)(images)
    network = keras.Model(images, L.Add()([L.Activation("relu")(x), x]))
    assert inference_bytes(network, 1) == (32 + 32 + 32) * VALUE  # x, its ReLU, their sum


def test_a_shortcut_stays_in_memory_until_it_is_added():
    images = keras.Input((4, 4, 2))
    x = L.Conv2D(10, 1)(images)
    x = L.Conv2D(2, 1)(x)
    network = keras.Model(images, L.Add()([images, x]))
    assert inference_bytes(network, 1) == (32 + 160 + 32) * VALUE


@pytest.mark.parametrize(
    ("layers", "values"),
    [
        ([L.Conv2D(8, 3)], 32),  # the kernel's gradient needs the input
        ([L.Conv2D(8, 3), L.Activation("relu")], 32 + 32),  # ReLU's gradient needs its output, not its input
        ([L.Conv2D(8, 3), L.Activation("gelu")], 32 + 32),  # GELU's its input
        ([L.Conv2D(8, 3), L.Activation("relu"), L.Conv2D(8, 1)], 32 + 32),  # one tensor, needed twice
        ([L.Conv2D(8, 3, activation="relu")], 32 + 32),
        ([L.Conv2D(8, 3), L.Activation("relu"), L.Flatten(), L.Dense(3)], 32 + 32),
        ([L.MaxPooling2D(2)], 32 + 8),
        ([L.AveragePooling2D(2)], 0),
        ([L.Conv2D(8, 3), L.BatchNormalization(), L.Activation("relu")], 32 + 32 + 32),
        ([L.Dropout(0.5)], 32 / VALUE),  # a mask of one byte per value
    ],
)
def test_training_keeps_what_gradients_are_computed_from(layers, values):
    assert training_bytes(chain(*layers), batch_size=5) == 5 * values * VALUE


def test_half_precision_halves_all_but_what_computes_in_float32():
    def build() -> keras.Model:
        return chain(L.Conv2D(2, 1), LocalResponseNormalization(), L.BatchNormalization())

    assert training_bytes(build(), 1) == (32 + 32 + 32) * 4
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert training_bytes(build(), 1) == 32 * 4 + 32 * 4 + 32 * 4


def test_the_fused_normalisation_of_maps_keeps_them_in_half_precision_and_flat_values_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert training_bytes(chain(L.Conv2D(2, 1), BatchNormalization()), 1) == 32 * 4 + 32 * 2
    assert training_bytes(chain(L.Flatten(), L.Dense(8), BatchNormalization()), 1) == 32 * 2 + 8 * 4


def test_operations_that_are_no_layers_count_too():
    images = keras.Input((4, 4, 2))
    network = keras.Model(images, L.Conv2D(2, 1)(images + 1.0))
    assert inference_bytes(network, 5) == 5 * (32 + 32) * VALUE
    assert training_bytes(network, 5) == 5 * (32 + 32) * VALUE


def test_a_shared_layer_and_one_of_several_outputs_take_memory_at_each_use():
    images = keras.Input((4, 4, 2))
    shared = L.Conv2D(2, 1)
    network = keras.Model(images, shared(shared(images)))
    assert inference_bytes(network, 1) == (32 + 32) * VALUE
    assert training_bytes(network, 1) == (32 + 32) * VALUE
    split = keras.Model(images, L.Add()(keras.ops.split(images, 2, axis=-1)))
    assert inference_bytes(split, 1) == (32 + 16 + 16) * VALUE


def test_a_nested_model_takes_what_its_layers_take_at_each_use():
    inner = chain(L.Conv2D(2, 1, activation="relu"))
    images = keras.Input((4, 4, 2))
    network = keras.Model(images, L.Conv2D(2, 1)(inner(inner(images))))
    plain = chain(*(L.Conv2D(2, 1, activation=name) for name in ("relu", "relu", None)))
    assert training_bytes(network, 1) == training_bytes(plain, 1) == (32 + 32 + 32) * VALUE
    assert inference_bytes(network, 1) == inference_bytes(plain, 1)


def test_training_takes_more_than_inference():
    network = mnist_cnn((28, 28, 1), 10, batch_norm=True, dropout=0.5)
    assert training_bytes(network, 128) > inference_bytes(network, 128)
