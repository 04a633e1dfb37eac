"""Full states on disk: whole, the last few and the best, and what happens to damaged ones."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnnlab.errors import UserError
from cnnlab.metrics.metric_set import MetricSet
from cnnlab.training.checkpoints import Checkpoints
from cnnlab.training.train_state import TrainState
from cnnlab.training.variables import training_variables


def make_variables(value: float) -> dict[str, keras.Variable]:
    kernel = keras.Variable(np.full((3, 2), value, "float32"))
    return {"network/kernel": kernel, "optimizer/iteration": keras.Variable(np.int64(7), dtype="int64")}


def save(checkpoints: Checkpoints, step: int, best: bool = False) -> None:
    checkpoints.save(make_variables(float(step)), {"step": step, "note": f"after {step}"}, best=best)


def names(checkpoints: Checkpoints) -> list[str]:
    return sorted(path.name for path in checkpoints.directory.iterdir())


def test_what_was_saved_comes_back(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    save(checkpoints, 5)
    variables = make_variables(0.0)
    assert checkpoints.restore_latest(variables) == {"step": 5, "note": "after 5"}
    np.testing.assert_array_equal(variables["network/kernel"].numpy(), np.full((3, 2), 5.0))
    assert int(variables["optimizer/iteration"].numpy()) == 7


def test_an_empty_folder_gives_nothing(tmp_path):
    assert Checkpoints(tmp_path / "absent", keep=1).restore_latest(make_variables(0.0)) is None


def test_the_last_two_and_the_best_stay(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 2, 3, 4):
        save(checkpoints, step, best=step == 2)
    assert names(checkpoints) == ["best.npz", "step-00000003.npz", "step-00000004.npz"]
    best = np.load(tmp_path / "best.npz")
    np.testing.assert_array_equal(best["network/kernel"], np.full((3, 2), 2.0))


@pytest.mark.parametrize("damage", ["truncated", "emptied", "a flipped bit"])
def test_a_damaged_last_state_falls_back_to_the_one_before_and_says_so(tmp_path, caplog, damage):
    checkpoints = Checkpoints(tmp_path, keep=2)
    save(checkpoints, 1)
    save(checkpoints, 2)
    last = tmp_path / "step-00000002.npz"
    content = bytearray(last.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "emptied":
        content = b""
    else:
        content[content.index(np.full(6, 2.0, "float32").tobytes())] ^= 1
    last.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert checkpoints.restore_latest(make_variables(0.0))["step"] == 1
    assert "step-00000002.npz" in caplog.text
    assert "falling back" in caplog.text


def test_a_state_written_after_a_fallback_outlives_the_damaged_later_ones(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    save(checkpoints, 9)
    (tmp_path / "step-00000009.npz").write_bytes(b"damaged")
    save(checkpoints, 7)
    assert checkpoints.restore_latest(make_variables(0.0))["step"] == 7
    assert names(checkpoints) == ["step-00000007.npz"]


def test_when_all_are_damaged_training_does_not_start_anew_silently(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    save(checkpoints, 1)
    (tmp_path / "step-00000001.npz").write_bytes(b"no zip file")
    with pytest.raises(UserError, match="every checkpoint is damaged"):
        checkpoints.restore_latest(make_variables(0.0))


def test_the_state_of_another_model_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    save(checkpoints, 1)
    with pytest.raises(UserError, match=r"another model.*: network/kernel \(3, 2\) where .* network/kernel \(4, 4\)$"):
        checkpoints.restore_latest({"network/kernel": keras.Variable(np.zeros((4, 4), "float32"))})


def train_state_of(*layers: str, unnamed: bool = False) -> TrainState:
    """A network of dense layers alike in shape, with an optimizer that has a slot for each weight."""
    x = inputs = keras.Input((4,))
    for name in layers:
        x = keras.layers.Dense(4, name=None if unnamed else name)(x)
    network = keras.Model(inputs, x)
    optimizer = keras.optimizers.SGD(momentum=0.9)
    optimizer.build(network.trainable_variables)
    preprocessing = keras.Sequential([keras.Input((4,)), keras.layers.Rescaling(2.0)])
    return TrainState(preprocessing, network, optimizer, tf.distribute.get_strategy(), None, None, MetricSet({}, 10))


def test_every_variable_is_named_by_its_place():
    assert list(training_variables(train_state_of("a", "b"))) == [
        *("network/a/kernel", "network/a/bias", "network/b/kernel", "network/b/bias"),
        *("optimizer/iteration", "optimizer/learning_rate"),
        *("optimizer/a/kernel/momentum", "optimizer/a/bias/momentum"),
        *("optimizer/b/kernel/momentum", "optimizer/b/bias/momentum"),
    ]


def test_the_places_do_not_depend_on_what_else_the_process_has_built():
    first, second = (training_variables(train_state_of("a", "b", unnamed=True)) for _ in range(2))
    assert list(first) == list(second)
    assert "optimizer/dense_1/kernel/momentum" in first


def test_layers_of_one_shape_in_another_order_are_refused_not_swapped(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(training_variables(train_state_of("a", "b")), {"step": 1}, best=False)
    with pytest.raises(UserError, match=r"network/a/kernel \(4, 4\) where it has network/b/kernel \(4, 4\)$"):
        checkpoints.restore_latest(training_variables(train_state_of("b", "a")))


def test_a_failed_write_leaves_the_last_good_state_and_no_litter(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    save(checkpoints, 1)
    with pytest.raises(TypeError):
        checkpoints.save(make_variables(2.0), {"step": 2, "unserialisable": object()}, best=False)
    assert names(checkpoints) == ["step-00000001.npz"]
