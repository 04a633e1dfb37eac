"""What is looked at: a trained network from pixels to logits, with what its figures need to know."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import keras
from omegaconf import DictConfig

from cnnlab.data.classes import classes_of_model
from cnnlab.data.dataset import Dataset, ImageShape
from cnnlab.data.load import load_dataset
from cnnlab.errors import UserError
from cnnlab.evaluation.load_model import (
    best_model,
    load_best,
    load_weights_file,
    require_fit,
    run_classes,
)
from cnnlab.models.contract import from_images, without_probabilities
from cnnlab.models.graph import finalize_state, function_of
from cnnlab.models.keras_file import read_class_names
from cnnlab.models.network import take_apart
from cnnlab.models.weights.load_weights import reader_of
from cnnlab.reporting.page import MODEL_SHA256
from cnnlab.runs.files import digest
from cnnlab.runs.run import Run


@dataclass(frozen=True)
class Subject:
    """A trained network and the data it was made for.

    Attributes:
        network: a functional model, in inference and in float32 throughout, from pixels, float32 (N, H, W, C) from
            0 to 255, to logits, float32 (N, K), or (N, 1) for a sigmoid head. Preprocessing is a part
            of it, so that gradients reach the pixels. It may hold other models.
        title: of its figures, such as the run's name.
        config: the configuration of the command.
        origin: where the network comes from, for the figures' metadata.
        own_classes: the names that the network itself has for its classes; None where it has none.
        model_sha256: of a run's model; None for weights from a file.
    """

    network: keras.Model
    title: str
    config: DictConfig
    origin: Path
    own_classes: tuple[str, ...] | None
    model_sha256: str | None = None

    @property
    def image_shape(self) -> ImageShape:
        """(height, width, channels) of an image."""
        return tuple(self.network.input_shape[1:])

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset of the configuration, read when first used; its labels go by name to the network's classes.

        Raises:
            UserError: it cannot be read, or does not fit the network.
        """
        own_classes = self.own_classes
        dataset = load_dataset(self.config.dataset, self.config.seeds.split, own_classes=own_classes is not None)
        dataset = classes_of_model(dataset, own_classes, self.origin, is_trained_here=self.model_sha256 is not None)
        require_fit(self.network, dataset)
        return dataset

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """One name per class; those that the network has need no data."""
        return self.dataset.class_names if self.own_classes is None else self.own_classes

    def metadata(self, title: str, seed: int | None = None) -> dict[str, str]:
        """The text chunks of a figure about this network; by MODEL_SHA256 a report tells those of an earlier model."""
        about = {"Title": title, "Model": str(self.origin)}
        about |= {MODEL_SHA256: self.model_sha256} if self.model_sha256 else {}
        return about if seed is None else about | {"Seed": str(seed)}


def load_subject(config: DictConfig) -> Subject:
    """Load the best model of `config.run`, or what `config.weights` holds.

    Raises:
        UserError: there is neither, or the file cannot be loaded.
    """
    image_shape = tuple(config.dataset.image_shape)
    if config.run:
        run = Run.open(config.run)
        sha256 = digest(best_model(run))  # of what is loaded next: a training that goes on may replace it
        network = pixels_to_logits(load_best(run, config.targets), image_shape, f"run={config.run}")
        return Subject(network, run.config.name, config, run.best_model, run_classes(run), sha256)
    if config.weights is None:
        raise UserError(
            f"method={config.method.name}: looks into a trained network; "
            "give run=RUN, a run's folder, or weights=FILE with model=… and dataset=…"
        )
    path = Path(config.weights)
    reader_of(path, f"weights={path}")  # a wrong name is told before data are read
    needs_data = path.suffix != ".keras"
    dataset = load_dataset(config.dataset, config.seeds.split) if needs_data else None
    network = pixels_to_logits(load_weights_file(config, dataset), image_shape, f"weights={path}")
    return Subject(network, path.name, config, path, read_class_names(path))


def pixels_to_logits(model: keras.Model, image_shape: ImageShape, key: str) -> keras.Model:
    """Open a model up at both ends: float pixels instead of uint8 images, logits instead of probabilities.

    Args:
        model: what a run exports, or any model from images to the probabilities of a softmax or sigmoid, or to
            logits. It is used up: its layers are shared, and compute in float32 from now on.
        image_shape: (height, width, channels), for what the model leaves open.
        key: names the model in messages.

    Returns:
        See `Subject.network`.

    Raises:
        UserError: the model takes no images.
    """
    for layer in model._flatten_layers():
        layer.dtype_policy = "float32"
    finalize_state(model)
    try:
        preprocessing, network = take_apart(model)
    except ValueError:
        return _open_at_the_ends(model, image_shape, key)
    pixels = x = keras.Input(model.input_shape[1:], dtype="float32", name="pixels")
    for layer in preprocessing.layers[1:]:
        x = layer(x)
    outputs = keras.tree.flatten(network(x))
    return from_images(keras.Model(pixels, outputs[0], name="pixels_to_logits"), tuple(model.input_shape[1:]), key)


def _open_at_the_ends(model: keras.Model, image_shape: ImageShape, key: str) -> keras.Model:
    if function_of(model) is not None and len(model.inputs) == 1:
        own = model.inputs[0].shape[1:]
        if len(own) == len(image_shape):
            height, width, channels = (ours or given for ours, given in zip(own, image_shape, strict=True))
            image_shape = height, width, channels
    network = from_images(model, image_shape, key)
    network = without_probabilities(network, image_shape, key, "auto", "", "the figures have")
    one = len(network.outputs) == 1
    return network if one else keras.Model(network.inputs[0], network.outputs[0], name=network.name)
