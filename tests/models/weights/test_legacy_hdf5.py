"""HDF5 of Keras 1 and 2: which arrays it holds, in which order and layout, and what is refused."""

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from scipy.signal import convolve

from cnnlab.errors import UserError
from cnnlab.models.weights.legacy_hdf5 import read_legacy_hdf5
from cnnlab.models.weights.set_weights import set_weights

KERNEL = np.ones((3, 3, 1, 4), np.float32)


def conv(name: str, **config: object) -> dict:
    return {"class_name": "Conv2D", "config": {"name": name, **config}}


def flatten(**config: object) -> dict:
    return {"class_name": "Flatten", "config": {"name": "flatten_1", **config}}


class TestReading:
    def test_layers_come_in_the_order_of_layer_names_and_arrays_in_that_of_weight_names(self, write_hdf5):
        bias = np.zeros(4, np.float32)
        second = ("a_second", {"a_second/kernel:0": KERNEL, "a_second/bias:0": bias})
        first = ("z_first", {"z_first/kernel:0": KERNEL, "z_first/bias:0": bias})
        stored = read_legacy_hdf5(write_hdf5([first, ("dropout_1", {}), second]), "weights=old.h5")
        assert list(stored.arrays) == ["z_first/kernel", "z_first/bias", "a_second/kernel", "a_second/bias"]
        assert stored.ordered

    def test_a_list_of_layers_that_keras_split_is_put_together(self, write_hdf5):
        file = write_hdf5([(f"conv_{number}", {f"conv_{number}/kernel:0": KERNEL}) for number in range(7)], chunks=3)
        assert "layer_names" not in h5py.File(file).attrs
        assert list(read_legacy_hdf5(file, "").arrays) == [f"conv_{number}/kernel" for number in range(7)]

    @pytest.mark.parametrize("stored", ["conv_1/kernel:0", "conv_1_1/kernel:0", "conv_1_kernel", "kernel"])
    def test_names_are_the_layers_and_the_arrays_whatever_version_wrote_them(self, write_hdf5, stored):
        assert list(read_legacy_hdf5(write_hdf5([("conv_1", {stored: KERNEL})]), "").arrays) == ["conv_1/kernel"]

    def test_layers_of_a_model_inside_of_another_stay_together(self, write_hdf5):
        order = ["conv/kernel", "bn/gamma", "bn/beta", "last/kernel", "bn/moving_mean", "bn/moving_variance"]
        file = write_hdf5([("backbone", {f"{name}:0": KERNEL for name in order})])
        sorted_by_layers = [*order[:3], *order[4:], order[3]]
        assert list(read_legacy_hdf5(file, "").arrays) == sorted_by_layers

    def test_layers_whose_arrays_are_called_alike_are_told_apart(self, write_hdf5):
        nested = {"conv/kernel:0": KERNEL, "last/kernel:0": KERNEL}
        names = list(read_legacy_hdf5(write_hdf5([("a", nested), ("b", nested)]), "").arrays)
        assert names == ["conv/kernel", "last/kernel", "b/conv/kernel", "b/last/kernel"]

    def test_of_a_whole_model_the_optimizer_is_left_out(self, write_hdf5):
        file = write_hdf5([("conv_1", {"conv_1/kernel:0": KERNEL})], [conv("conv_1")])
        with h5py.File(file, "a") as content:
            content.create_group("optimizer_weights")["Adam/m:0"] = KERNEL
        stored = read_legacy_hdf5(file, "")
        assert list(stored.arrays) == ["conv_1/kernel"]
        assert stored.left_out == "the optimizer's state"

    def test_a_lambda_layer_is_told_and_not_run(self, write_hdf5, tmp_path):
        # Keras stores the code of a lambda; loading the model would run this one
        code = {"class_name": "__lambda__", "config": {"code": f"open('{tmp_path / 'run'}', 'w')"}}
        lambdas = {"class_name": "Lambda", "config": {"name": "trick", "function": code, "function_type": "lambda"}}
        stored = read_legacy_hdf5(write_hdf5([("conv_1", {"kernel": KERNEL})], [conv("conv_1"), lambdas]), "")
        assert "Lambda layer trick, which is not run" in stored.notes[0]
        assert list(stored.arrays) == ["conv_1/kernel"]
        assert not (tmp_path / "run").exists()


class TestTheano:
    """A network that computes as Keras on Theano did, channels first and with turned kernels, in NumPy."""

    @pytest.fixture
    def images(self, rng) -> np.ndarray:
        return rng.normal(size=(2, 6, 5, 3)).astype(np.float32)

    @pytest.fixture
    def arrays(self, rng) -> dict[str, np.ndarray]:
        shapes = {"kernel": (4, 3, 3, 3), "bias": (4,), "dense": (4 * 4 * 3, 2), "dense_bias": (2,)}
        return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}

    @pytest.fixture
    def network(self) -> keras.Model:
        pixels = keras.Input((6, 5, 3))
        x = layers.Conv2D(4, 3, name="conv")(pixels)
        x = layers.Dropout(0.5)(layers.Flatten()(layers.ReLU()(x)))
        return keras.Model(pixels, layers.Dense(2, name="dense")(x))

    @staticmethod
    def expected(arrays: dict[str, np.ndarray], images: np.ndarray, *, channels_first: bool = True) -> np.ndarray:
        """The kernel is (out, in, height, width); SciPy's convolution turns it, as Theano's does."""
        first = images.transpose(0, 3, 1, 2)
        maps = np.stack([[convolve(image, each[::-1], "valid")[0] for each in arrays["kernel"]] for image in first])
        maps = np.maximum(maps + arrays["bias"][:, np.newaxis, np.newaxis], 0)
        flat = (maps if channels_first else maps.transpose(0, 2, 3, 1)).reshape(len(images), -1)
        return flat @ arrays["dense"] + arrays["dense_bias"]

    @pytest.mark.parametrize("backend", ["theano", None])
    @pytest.mark.parametrize("whole", [True, False])
    def test_keras_1_with_channels_first(self, write_hdf5, arrays, images, network, backend, whole, capsys):
        file = write_hdf5(
            [
                ("convolution2d_1", {"convolution2d_1_W": arrays["kernel"], "convolution2d_1_b": arrays["bias"]}),
                ("dense_1", {"dense_1_W": arrays["dense"], "dense_1_b": arrays["dense_bias"]}),
            ],
            [{"class_name": "Convolution2D", "config": {"name": "convolution2d_1", "dim_ordering": "th"}}, flatten()]
            if whole
            else None,
            version="1.2.2" if backend else None,
            backend=backend,
        )
        set_weights(read_legacy_hdf5(file, ""), network, "", {})
        np.testing.assert_allclose(network(images), self.expected(arrays, images), rtol=1e-4, atol=1e-4)
        told = capsys.readouterr().err
        assert "transposed, flipped" in told
        assert "rows reordered" in told

    def test_keras_2_with_channels_last_is_flipped_only(self, write_hdf5, arrays, images, network):
        kernel = arrays["kernel"].transpose(2, 3, 1, 0)
        file = write_hdf5(
            [
                ("conv", {"conv/kernel": kernel, "conv/bias": arrays["bias"]}),
                ("dense", {"dense/kernel": arrays["dense"], "dense/bias": arrays["dense_bias"]}),
            ],
            [conv("conv", data_format="channels_last"), flatten()],
            backend="theano",
        )
        set_weights(read_legacy_hdf5(file, ""), network, "", {})
        expected = self.expected(arrays, images, channels_first=False)
        np.testing.assert_allclose(network(images), expected, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("flattens", ["channels_first", "channels_last", None])
    def test_a_flatten_layer_that_knows_of_channels_first_leaves_the_rows(
        self, write_hdf5, arrays, images, network, flattens
    ):
        kernel = arrays["kernel"].transpose(2, 3, 1, 0)
        file = write_hdf5(
            [
                ("conv", {"conv/kernel": kernel, "conv/bias": arrays["bias"]}),
                ("dense", {"dense/kernel": arrays["dense"], "dense/bias": arrays["dense_bias"]}),
            ],
            [conv("conv", data_format="channels_first"), flatten(**({"data_format": flattens} if flattens else {}))],
            backend="theano",
        )
        set_weights(read_legacy_hdf5(file, ""), network, "", {})
        expected = self.expected(arrays, images, channels_first=flattens != "channels_first")
        np.testing.assert_allclose(network(images), expected, rtol=1e-4, atol=1e-4)

    def test_weights_alone_of_keras_2_do_not_say_where_the_channels_were_and_so_does_cnnlab(self, write_hdf5):
        stored = read_legacy_hdf5(write_hdf5([("conv", {"kernel": KERNEL})], backend="theano"), "")
        assert "taken for channels last" in stored.notes[0]

    def test_strides_over_padding_are_told_since_theano_pads_all_sides(self, write_hdf5, caplog):
        pixels = keras.Input((6, 6, 1))
        network = keras.Model(pixels, layers.Conv2D(4, 3, 2, padding="same", use_bias=False, name="conv1")(pixels))
        for backend in ("tensorflow", "theano"):
            caplog.clear()
            set_weights(
                read_legacy_hdf5(write_hdf5([("c", {"kernel": KERNEL})], backend=backend), "w"), network, "w", {}
            )
            told = [message for message in caplog.messages if "the windows of conv1 may lie a pixel off" in message]
            assert len(told) == (backend == "theano")

    def test_dense_layers_alone_have_one_layout(self, write_hdf5, rng):
        pixels = keras.Input((4,))
        network = keras.Model(pixels, layers.Dense(2, use_bias=False)(pixels))
        kernel = rng.normal(size=(4, 2)).astype(np.float32)
        stored = read_legacy_hdf5(
            write_hdf5([("dense_1", {"dense_1_W": kernel})], version="1.0", backend="theano"), "w"
        )
        set_weights(stored, network, "w", {})
        np.testing.assert_array_equal(network.get_weights()[0], kernel)
        assert "taken for channels last" in stored.notes[0]

    def test_kernels_that_fit_either_way_are_refused(self, write_hdf5, rng):
        pixels = keras.Input((6, 6, 3))
        network = keras.Model(pixels, layers.Conv2D(3, 3, use_bias=False)(pixels))
        file = write_hdf5([("conv_1", {"conv_1_W": rng.normal(size=(3, 3, 3, 3))})], version="1.2.0", backend="theano")
        with pytest.raises(UserError, match=r"fit as \(height, width, in, out\) and as \(out, in, height, width\)"):
            set_weights(read_legacy_hdf5(file, "weights=old.h5"), network, "weights=old.h5", {})

    def test_other_kernels_than_those_of_plain_convolutions_are_refused(self, write_hdf5):
        pixels = keras.Input((6, 6, 4))
        network = keras.Model(pixels, layers.DepthwiseConv2D(3, use_bias=False)(pixels))
        file = write_hdf5([("d", {"d/depthwise_kernel": np.ones((3, 3, 4, 1))})], backend="theano")
        with pytest.raises(UserError, match="w: d/depthwise_kernel: a kernel for DepthwiseConv2D in Theano's layout"):
            set_weights(read_legacy_hdf5(file, "w"), network, "w", {})


def test_batch_normalisation_of_keras_1_without_biases(write_hdf5, rng):
    pixels = keras.Input((4, 4, 1))
    x = layers.BatchNormalization(epsilon=1e-3)(layers.Conv2D(4, 3, use_bias=False)(pixels))
    network = keras.Model(pixels, x)
    gamma, beta, mean, variance = (rng.uniform(1, 2, 4).astype(np.float32) for _ in range(4))
    name = "batchnormalization_1"
    norm = {f"{name}_gamma": gamma, f"{name}_beta": beta, f"{name}_running_mean": mean, f"{name}_running_std": variance}
    file = write_hdf5([("convolution2d_1", {"convolution2d_1_W": KERNEL}), (name, norm)], version="1.2.2")
    set_weights(read_legacy_hdf5(file, ""), network, "", {})
    images = rng.normal(size=(2, 4, 4, 1)).astype(np.float32)
    sums = np.asarray(keras.ops.conv(images, KERNEL))
    expected = (sums - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    np.testing.assert_allclose(network(images), expected, rtol=1e-4, atol=1e-4)


def test_arguments_that_change_the_result_are_told(write_hdf5, caplog):
    pixels = keras.Input((4, 4, 1))
    network = keras.Model(pixels, layers.Conv2D(4, 3, use_bias=False, name="conv1", strides=2)(pixels))
    config = [conv("conv_1", padding="same", strides=[1, 1], dilation_rate=[1, 1])]
    set_weights(read_legacy_hdf5(write_hdf5([("conv_1", {"kernel": KERNEL})], config), "w"), network, "w", {})
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        "w: conv_1 was trained with padding=same, conv1 has valid; set model=… as it was trained",
        "w: conv_1 was trained with strides=[1,1], conv1 has [2,2]; set model=… as it was trained",
    ]


class TestRefusals:
    def test_hdf5_that_is_no_model(self, tmp_path):
        with h5py.File(tmp_path / "data.h5", "w") as file:
            file["images"] = np.zeros(3)
        with pytest.raises(UserError, match=r"w: is HDF5, but no model of Keras 1 or 2: has no layer_names.*images"):
            read_legacy_hdf5(tmp_path / "data.h5", "w")

    def test_a_file_that_is_cut_off(self, write_hdf5):
        file = write_hdf5([("conv_1", {"kernel": KERNEL})])
        file.write_bytes(file.read_bytes()[:-100])
        with pytest.raises(UserError, match="w: is cut off"):
            read_legacy_hdf5(file, "w")

    def test_no_hdf5(self, tmp_path):
        (tmp_path / "notes.h5").write_text("no HDF5 at all")
        with pytest.raises(UserError, match="w: is no HDF5 file, or damaged"):
            read_legacy_hdf5(tmp_path / "notes.h5", "w")

    def test_a_layer_that_is_named_but_not_there(self, write_hdf5):
        file = write_hdf5([("conv_1", {"kernel": KERNEL})])
        with h5py.File(file, "a") as content:
            del content["conv_1"]
        with pytest.raises(UserError, match=r"w: damaged, or no model of Keras .*conv_1"):
            read_legacy_hdf5(file, "w")

    def test_a_model_without_weights(self, write_hdf5):
        with pytest.raises(UserError, match="w: holds a model without any weights"):
            read_legacy_hdf5(write_hdf5([("flatten_1", {})]), "w")

    @pytest.mark.parametrize(
        ("config", "reason"),
        [
            ([conv("a", data_format="channels_first"), conv("b", data_format="channels_last")], "with channels last"),
            ([conv("a", data_format="channels_first"), {"class_name": "Permute", "config": {}}], "a Permute layer"),
        ],
    )
    def test_an_order_of_maps_that_is_not_known(self, write_hdf5, config, reason):
        with pytest.raises(UserError, match=reason):
            read_legacy_hdf5(write_hdf5([("a", {"kernel": KERNEL})], config), "w")
