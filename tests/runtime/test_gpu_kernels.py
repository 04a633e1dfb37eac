"""What a GPU cannot run is found without one."""

import json

import pytest
import tensorflow as tf

from cnnlab import cli
from cnnlab.runtime.gpu_kernels import host_operations, knows_gpus

pytestmark = pytest.mark.skipif(not knows_gpus(), reason="this TensorFlow has no kernels for GPUs")

LARGE = 10_000


def found(function, *signature: tf.TensorSpec) -> list[tuple[str, tuple[str, ...]]]:
    graph = tf.function(function, autograph=False).get_concrete_function(*signature).graph
    return [(each.operation, each.types) for each in host_operations(graph)]


def test_what_has_a_kernel_for_gpus_with_these_types_is_left_out():
    assert found(lambda x: tf.nn.relu(x) @ x, tf.TensorSpec((100, 100))) == []


def test_an_operation_without_one_is_named_with_its_types():
    image = tf.TensorSpec((1, 100, 100, 3), tf.uint8)
    assert found(lambda x: tf.raw_ops.ResizeArea(images=x, size=(50, 50)), image) == [("ResizeArea", ("T=uint8",))]


def test_the_types_decide():
    words, rows = tf.TensorSpec((LARGE, 8), tf.uint8), tf.TensorSpec((4,), tf.int32)
    assert [name for name, _ in found(tf.gather, words, rows)] == ["GatherV2"]
    assert found(tf.gather, tf.TensorSpec((LARGE, 8), tf.int64), rows) == []


def test_many_whole_numbers_of_32_bits_are_computed_on_the_host_and_few_may_be():
    assert ("AddV2", ("T=int32",)) in found(lambda x: x + 1, tf.TensorSpec((LARGE,), tf.int32))
    assert found(lambda x: x + 1, tf.TensorSpec((4,), tf.int32)) == []


def test_called_functions_and_branches_are_looked_into():
    resize = tf.function(lambda x: tf.raw_ops.ResizeArea(images=x, size=(5, 5)), autograph=False)

    def branch(x):
        return tf.cond(tf.reduce_sum(x) > 0, lambda: resize(x), lambda: tf.image.resize(x, (5, 5)))

    assert found(branch, tf.TensorSpec((1, 10, 10, 3))) == [("ResizeArea", ("T=float",))]


def test_inspect_tells_it_of_a_composition(capsys):
    assert cli.main(["inspect", "placement=true", "augmentation=[rand_augment,cutmix]", "format=json"]) == 0
    assert json.loads(capsys.readouterr().out)["on_host"] == []
