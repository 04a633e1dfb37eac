"""Files of weights as other versions and libraries wrote them, and networks to fill."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

Layers = Iterable[tuple[str, Mapping[str, np.ndarray]]]


def write_group(group: h5py.Group, layers: Layers, chunks: int = 1) -> None:
    names = [name.encode() for name, _ in layers]
    if chunks == 1:
        group.attrs["layer_names"] = names
    for number, part in enumerate(np.array_split(names, chunks) if chunks > 1 else []):
        group.attrs[f"layer_names{number}"] = part
    for name, arrays in layers:
        layer = group.create_group(name)
        layer.attrs["weight_names"] = [each.encode() for each in arrays]
        for each, values in arrays.items():
            layer.create_dataset(each, data=values)


@pytest.fixture
def write_hdf5(tmp_path) -> Callable[..., Path]:
    """`write_hdf5(layers, config=None, …)`: HDF5 as Keras writes it; with `config`, a list of layers, a whole model."""

    def write(
        layers: Layers,
        config: list[dict[str, Any]] | None = None,
        *,
        version: str | None = "2.1.6",
        backend: str | None = "tensorflow",
        chunks: int = 1,
        name: str = "old.h5",
    ) -> Path:
        layers = list(layers)
        with h5py.File(tmp_path / name, "w") as file:
            group = file if config is None else file.create_group("model_weights")
            write_group(group, layers, chunks)
            for key, value in (("keras_version", version), ("backend", backend)):
                if value is not None:
                    group.attrs[key] = value.encode()
            if config is not None:
                file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": config}).encode()
        return tmp_path / name

    return write


@pytest.fixture
def write_checkpoint(tmp_path) -> Callable[..., Path]:
    """`write_checkpoint(arrays, optimizer=None, name="model.ckpt")`: by TensorFlow 1's Saver, after one step of it."""
    import tensorflow as tf

    def write(
        arrays: Mapping[str, np.ndarray], optimizer: Any = None, name: str = "model.ckpt", averages: bool = False
    ) -> Path:
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            # the numbers must not move with the step that makes the slots
            variables = [tf.compat.v1.get_variable(name, initializer=values) for name, values in arrays.items()]
            if optimizer is not None:
                step = tf.compat.v1.train.get_or_create_global_step()
                loss = tf.add_n([0.0 * tf.reduce_sum(variable) for variable in variables])
                update = optimizer.minimize(loss, step, var_list=variables)
            if averages:
                average = tf.compat.v1.train.ExponentialMovingAverage(0.9).apply(variables)
            session.run(tf.compat.v1.global_variables_initializer())
            if optimizer is not None:
                session.run(update)
            if averages:
                session.run(average)
            return Path(tf.compat.v1.train.Saver().save(session, str(tmp_path / name)))

    return write


@pytest.fixture
def randomised(rng) -> Callable[[keras.Model], keras.Model]:
    """`randomised(network)`: the same with each variable drawn anew, so that none could be taken for another."""

    def draw(network: keras.Model) -> keras.Model:
        for weight in network.weights:
            fan_in = max(1, int(np.prod(weight.shape[:-1])))
            values = rng.normal(size=weight.shape, scale=2 / fan_in**0.5 if len(weight.shape) > 1 else 0.02)
            weight.assign(np.abs(values) + 0.5 if "variance" in weight.path or "gamma" in weight.path else values)
        return network

    return draw
