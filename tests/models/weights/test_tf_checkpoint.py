"""TensorFlow's checkpoints: where they are found, what is left out of them, and in which order the rest is read."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnnlab.errors import UserError
from cnnlab.models.weights.tf_checkpoint import read_tf_checkpoint

ARRAYS = {"conv1/kernel": np.ones((3, 3, 1, 4), np.float32), "conv1/bias": np.zeros(4, np.float32)}


@pytest.mark.parametrize("suffix", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_a_prefix_or_any_of_its_files(write_checkpoint, suffix):
    prefix = write_checkpoint(ARRAYS)
    stored = read_tf_checkpoint(prefix.with_name(prefix.name + suffix), "")
    assert {*stored.arrays} == {*ARRAYS}
    np.testing.assert_array_equal(stored.arrays["conv1/kernel"], ARRAYS["conv1/kernel"])
    assert not stored.ordered


def test_of_a_folder_the_checkpoint_that_its_file_names_wherever_it_lies_now(write_checkpoint, tmp_path):
    write_checkpoint({"old/kernel": np.zeros((1, 1), np.float32)}, name="train/model.ckpt-1")
    write_checkpoint(ARRAYS, name="train/model.ckpt-2")
    shutil.move(tmp_path / "train", tmp_path / "moved")
    stored = read_tf_checkpoint(tmp_path / "moved", "")
    assert {*stored.arrays} == {*ARRAYS}
    assert "model.ckpt-2" in stored.description


def test_layers_are_sorted_by_their_numbers(write_checkpoint):
    names = ["conv2d", *(f"conv2d_{number}" for number in range(1, 12))]
    arrays = {f"{name}/kernel": np.full((1, 1), index, np.float32) for index, name in enumerate(names)}
    assert [*read_tf_checkpoint(write_checkpoint(arrays), "").arrays] == [*arrays]


@pytest.mark.parametrize(
    "optimizer",
    [
        tf.compat.v1.train.AdamOptimizer(),
        tf.compat.v1.train.MomentumOptimizer(0.1, 0.9),
        tf.compat.v1.train.RMSPropOptimizer(0.1),
        tf.compat.v1.train.FtrlOptimizer(0.1),
    ],
    ids=lambda optimizer: optimizer.get_name(),
)
def test_slots_of_optimizers_averages_and_counters_are_left_out_and_counted(write_checkpoint, optimizer):
    prefix = write_checkpoint(ARRAYS, optimizer, averages=True)
    stored = read_tf_checkpoint(prefix, "")
    assert {*stored.arrays} == {*ARRAYS}
    others = len(tf.train.list_variables(str(prefix))) - len(ARRAYS)
    assert sum(int(word) for word in stored.left_out.split() if word.isdigit()) == others
    assert "2 of moving averages" in stored.left_out


def test_checkpoints_of_tensorflow_2_hold_objects(tmp_path):
    layer = keras.layers.Dense(2, name="dense")
    layer.build((None, 3))
    variables = {"kernel": tf.Variable(layer.kernel.numpy()), "bias": tf.Variable(layer.bias.numpy())}
    path = tf.train.Checkpoint(dense=tf.train.Checkpoint(**variables)).save(str(tmp_path / "ckpt"))
    stored = read_tf_checkpoint(tmp_path, "")
    assert {*stored.arrays} == {"dense/kernel", "dense/bias"}
    assert path.endswith("ckpt-1")


class TestRefusals:
    def test_a_folder_without_a_checkpoint(self, tmp_path):
        with pytest.raises(UserError, match="w: a folder without a file `checkpoint`, nor any other checkpoint"):
            read_tf_checkpoint(tmp_path, "w")

    def test_a_folder_whose_checkpoints_no_file_names(self, write_checkpoint, tmp_path):
        write_checkpoint(ARRAYS)
        (tmp_path / "checkpoint").unlink()
        with pytest.raises(UserError, match=r"without a file `checkpoint`; there are model.ckpt: give one of them"):
            read_tf_checkpoint(tmp_path, "w")

    def test_a_folder_whose_latest_checkpoint_is_gone(self, write_checkpoint, tmp_path):
        write_checkpoint(ARRAYS).with_name("model.ckpt.index").unlink()
        with pytest.raises(UserError, match=r"w: its file `checkpoint` names model.ckpt, which is not there"):
            read_tf_checkpoint(tmp_path, "w")

    def test_no_such_file(self, tmp_path):
        with pytest.raises(UserError, match=r"w: no such file; .*such as model.ckpt"):
            read_tf_checkpoint(tmp_path / "model.ckpt", "w")

    def test_a_part_without_its_index(self, write_checkpoint):
        prefix = write_checkpoint(ARRAYS)
        prefix.with_name("model.ckpt.index").unlink()
        with pytest.raises(UserError, match=r"w: is part of a checkpoint whose model.ckpt.index is not beside it"):
            read_tf_checkpoint(prefix.with_name("model.ckpt.data-00000-of-00001"), "w")

    @pytest.mark.parametrize("file", ["model.ckpt.index", "model.ckpt.data-00000-of-00001"])
    def test_a_checkpoint_that_is_cut_off(self, write_checkpoint, file):
        prefix = write_checkpoint(ARRAYS)
        damaged = prefix.with_name(file)
        damaged.write_bytes(damaged.read_bytes()[:20])
        with pytest.raises(UserError, match="w: damaged, incomplete or no checkpoint; TensorFlow says") as error:
            read_tf_checkpoint(prefix, "w")
        assert "\n" not in str(error.value)

    def test_nothing_but_an_optimizer(self, write_checkpoint):
        prefix = write_checkpoint({"global_step": np.zeros(1, np.float32)})
        with pytest.raises(UserError, match="w: holds no weights, only arrays: 1 of bookkeeping"):
            read_tf_checkpoint(prefix, "w")
