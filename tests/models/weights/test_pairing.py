"""Which array of a file goes to which variable, and when that is refused."""

import keras
import numpy as np
import pytest
from keras import layers

from cnnlab.errors import UserError
from cnnlab.models.weights.pairing import pair_weights
from cnnlab.models.weights.stored_weights import Layout, StoredWeights


def stored(shapes: dict[str, tuple[int, ...]], *, ordered: bool = False) -> StoredWeights:
    return StoredWeights({name: np.zeros(shape) for name, shape in shapes.items()}, ordered, (Layout(),), "test")


def dense(*units: int, names: str = "dense{}", inputs: int = 4, bias: bool = False) -> keras.Model:
    """Dense layers, one after the other, of the network that gets the weights."""
    x = images = keras.Input((inputs,))
    for number, size in enumerate(units, start=1):
        x = layers.Dense(size, use_bias=bias, name=names.format(number))(x)
    return keras.Model(images, x, name="network")


def paired(weights: StoredWeights, network: keras.Model, **options: object) -> dict[str, str]:
    return {variable.path: name for name, variable in pair_weights(weights, network, "w", **options).pairs}


class TestInAFileWithOrder:
    def test_order_decides(self):
        network = dense(4, 4)
        found = paired(stored({"z/kernel": (4, 4), "a/kernel": (4, 4)}, ordered=True), network)
        assert found == {"dense1/kernel": "z/kernel", "dense2/kernel": "a/kernel"}

    def test_equal_names_come_before_order(self):
        names = {"dense2/kernel": (4, 4), "dense1/kernel": (4, 4)}
        assert paired(stored(names, ordered=True), dense(4, 4)) == {path: path for path in names}

    def test_the_first_that_does_not_fit_is_named_with_both_shapes(self):
        weights = stored({"a/kernel": (4, 4), "b/kernel": (4, 5), "c/kernel": (5, 9)}, ordered=True)
        with pytest.raises(UserError, match=r"w: b/kernel has the shape \(4, 5\), dense2/kernel \(4, 6\); set model=…"):
            paired(weights, dense(4, 6, 7))

    def test_what_is_left_over_is_named(self):
        weights = stored({"a/kernel": (4, 4), "b/kernel": (4, 5)}, ordered=True)
        with pytest.raises(UserError, match=r"has 2 arrays, network 1 variables; b/kernel \(4, 5\) is left over"):
            paired(weights, dense(4))
        with pytest.raises(UserError, match=r"nothing is left for dense3/kernel \(5, 6\)"):
            paired(weights, dense(4, 5, 6))

    def test_a_bias_is_no_offset_of_a_normalisation(self):
        images = keras.Input((4,))
        network = keras.Model(images, layers.BatchNormalization(name="bn")(layers.Dense(4, name="fc")(images)))
        swapped = {"a/kernel": (4, 4), "a/bias": (4,), "b/beta": (4,), "b/gamma": (4,)}
        swapped |= {"b/moving_mean": (4,), "b/moving_variance": (4,)}
        with pytest.raises(UserError, match="b/beta is a beta, bn/gamma a gamma"):
            paired(stored(swapped, ordered=True), network)


class TestInAFileWithoutOrder:
    def test_shapes_decide_whatever_the_names(self):
        shapes = {"first/biases": (5,), "first/weights": (4, 5), "a/weights": (5, 3), "a/biases": (3,)}
        assert paired(stored(shapes), dense(5, 3, bias=True)) == {
            "dense1/kernel": "first/weights",
            "dense1/bias": "first/biases",
            "dense2/kernel": "a/weights",
            "dense2/bias": "a/biases",
        }

    def test_numbers_decide_between_equal_shapes_ten_after_two(self):
        names = ["dense", *(f"dense_{number}" for number in range(1, 12))]
        found = paired(stored({f"{name}/kernel": (4, 4) for name in sorted(names)}), dense(*[4] * 12, names="fc{}"))
        assert list(found.values()) == [f"{name}/kernel" for name in names]

    def test_single_arrays_of_numbered_names_are_taken_in_their_order(self):
        shapes = {"Variable": (4, 4), "Variable_1": (4,), "Variable_2": (4, 4), "Variable_3": (4,)}
        assert list(paired(stored(shapes), dense(4, 4, bias=True)).values()) == list(shapes)

    def test_within_a_layer_names_decide_between_equal_shapes(self):
        images = keras.Input((4,))
        x = layers.BatchNormalization(name="bn2")(layers.BatchNormalization(name="bn1")(images))
        names = {"beta": "beta", "gamma": "gamma", "moving_mean": "running_mean", "moving_variance": "moving_variance"}
        weights = stored({f"{norm}/{name}": (4,) for norm in ("norm", "norm_1") for name in names.values()})
        found = paired(weights, keras.Model(images, x))
        for bn, norm in (("bn1", "norm"), ("bn2", "norm_1")):
            assert {ours: found[f"{bn}/{ours}"] for ours in names} == {ours: f"{norm}/{names[ours]}" for ours in names}

    def test_equal_shapes_with_other_names_are_refused_with_the_way_out(self):
        weights = stored({"encoder/kernel": (4, 4), "decoder/kernel": (4, 4)})
        with pytest.raises(
            UserError, match=r"w: encoder, decoder have equal shapes, .* dense1, dense2; say .*weights_map"
        ):
            paired(weights, dense(4, 4))

    def test_arrays_of_a_layer_whose_names_say_nothing_are_refused(self):
        images = keras.Input((4,))
        network = keras.Model(images, layers.BatchNormalization(name="bn")(images))
        weights = stored({f"norm/{name}": (4,) for name in ("first", "second", "third", "fourth")})
        with pytest.raises(UserError, match=r"norm/first, norm/second, .* have equal shapes"):
            paired(weights, network)

    @pytest.mark.parametrize(
        ("shapes", "reason"),
        [
            ({"a/kernel": (4, 5), "b/kernel": (5, 9)}, r"b/kernel has the shape \(5, 9\), dense2/kernel \(5, 6\)"),
            (
                {"dense1/kernel": (4, 7), "a/kernel": (5, 6)},
                r"dense1/kernel has the shape \(4, 7\), dense1/kernel \(4, 5\)",
            ),
            ({"a/kernel": (4, 5)}, r"has 1 arrays, network 2 variables; nothing is left for dense2/kernel \(5, 6\)"),
            ({"a/kernel": (4, 5), "b/kernel": (5, 6), "c/kernel": (6, 7)}, r"c/kernel \(6, 7\) is left over"),
            ({"a/kernel": (4, 5), "a/bias": (5,), "b/kernel": (5, 6)}, r"a/bias \(5,\) is left over"),
        ],
    )
    def test_another_network(self, shapes, reason):
        with pytest.raises(UserError, match=rf"w: .*{reason}; set model=…"):
            paired(stored(shapes), dense(5, 6))


def test_variables_of_one_name_are_refused():
    class Twice(layers.Layer):
        def build(self, shape):
            self.first, self.second = (self.add_weight(shape=(4,), name="scale") for _ in range(2))

        def call(self, inputs):
            return inputs * self.first * self.second

    images = keras.Input((4,))
    network = keras.Model(images, Twice(name="twice")(images))
    with pytest.raises(UserError, match="has two variables called twice/scale, which no file can tell apart"):
        paired(stored({"a/scale": (4,), "b/scale": (4,)}, ordered=True), network)


class TestWithoutTheHead:
    @pytest.mark.parametrize("ordered", [True, False])
    @pytest.mark.parametrize("head", [{}, {"out/kernel": (5, 1000)}, {"out/kernel": (5, 3)}])
    def test_its_arrays_are_left_out_whatever_their_shape(self, ordered, head):
        network = dense(5, 3)
        weights = stored({"a/kernel": (4, 5), **head}, ordered=ordered)
        pairing = pair_weights(weights, network, "w", head=network.layers[-1].weights)
        assert [(name, variable.path) for name, variable in pairing.pairs] == [("a/kernel", "dense1/kernel")]
        assert pairing.left_out == [*head]


class TestWithAMap:
    SWAPPABLE = stored({"encoder/kernel": (4, 4), "decoder/kernel": (4, 4), "counter": (1,)})

    def test_it_decides_and_leaves_out_what_it_names_null(self):
        mapping = {"decoder/kernel": "dense1/kernel", "counter": None}
        pairing = pair_weights(self.SWAPPABLE, dense(4, 4), "w", mapping)
        found = {variable.path: name for name, variable in pairing.pairs}
        assert found == {"dense1/kernel": "decoder/kernel", "dense2/kernel": "encoder/kernel"}
        assert pairing.left_out == ["counter"]

    @pytest.mark.parametrize(
        ("mapping", "reason"),
        [
            (
                {"encoder/kernal": "dense1/kernel"},
                "encoder/kernal: not in the file of weights; did you mean encoder/kernel?",
            ),
            ({"encoder/kernel": "dense9/kernel"}, "dense9/kernel: no variable of network; did you mean dense"),
            ({"encoder/kernel": "dense1/kernel", "decoder/kernel": "dense1/kernel"}, "given more than one array"),
            ({"counter": "dense1/kernel"}, r"counter has the shape \(1,\), dense1/kernel \(4, 4\)"),
        ],
    )
    def test_what_it_names_must_be_there_once_and_fit(self, mapping, reason):
        with pytest.raises(UserError, match=f"weights_map: .*{reason}"):
            pair_weights(self.SWAPPABLE, dense(4, 4), "w", mapping)
