"""Networks without their classifiers, to build on: those of keras.applications, and SqueezeNet 1.1."""

import contextlib
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from keras import KerasTensor

from cnnlab.config.types import shown
from cnnlab.errors import UserError, one_line
from cnnlab.models.blocks import Blocks
from cnnlab.models.graph import finalize_state
from cnnlab.models.layers import REGISTRY
from cnnlab.models.squeezenet import squeezenet_maps
from cnnlab.models.weights.legacy_hdf5 import is_legacy, read_legacy_hdf5
from cnnlab.models.weights.stored_weights import Layout

# fmt: off
Backbone = Literal[
    "squeezenet",
    "ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge",
    "DenseNet121", "DenseNet169", "DenseNet201",
    "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3",
    "EfficientNetB4", "EfficientNetB5", "EfficientNetB6", "EfficientNetB7",
    "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3",
    "EfficientNetV2S", "EfficientNetV2M", "EfficientNetV2L",
    "InceptionResNetV2", "InceptionV3",
    "MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large",
    "NASNetMobile", "NASNetLarge",
    "ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2",
    "VGG16", "VGG19",
    "Xception",
]
# fmt: on

IMAGENET_STDDEV = (0.229, 0.224, 0.225)


@keras.saving.register_keras_serializable(package=REGISTRY)
class BackbonePreprocessing(keras.layers.Layer):
    """What a backbone's training did to its images, so that its weights meet what they know.

    This is keras.applications' `preprocess_input` of the backbone: some want -1 to 1, some BGR without the
    mean, some nothing, because their first layers do it themselves. SqueezeNet's weights were made by Caffe,
    from BGR without the mean.

    Args:
        backbone: whose preprocessing.

    Input: RGB values (N, H, W, 3) from 0 to 255. Output: the same shape, in the layer's compute dtype.
    """

    def __init__(self, backbone: Backbone, **kwargs: Any):
        super().__init__(**kwargs)
        self.backbone = backbone

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return _preprocess_input(self.backbone)(inputs)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"backbone": self.backbone}


def _preprocess_input(backbone: Backbone) -> Callable[[tf.Tensor], tf.Tensor]:
    if backbone == "squeezenet":
        return partial(keras.applications.imagenet_utils.preprocess_input, mode="caffe")
    return sys.modules[getattr(keras.applications, backbone).__module__].preprocess_input


def build_backbone(backbone: Backbone, images: KerasTensor) -> keras.Model:
    """Build a backbone with random weights.

    Args:
        backbone: its name.
        images: the network's input, RGB values (N, H, W, 3) from 0 to 255.

    Returns:
        A functional model from `images` to the backbone's last maps. Its first layer, `backbone_preprocessing`,
        computes in float32 whatever the dtype policy.

    Raises:
        UserError: the images are not in colour, or too small.
    """
    height, width, _ = shape = images.shape[1:]
    require_colour(shape, backbone)
    x = BackbonePreprocessing(backbone, name="backbone_preprocessing", dtype="float32")(images)
    if backbone == "squeezenet":
        return keras.Model(images, squeezenet_maps(Blocks(), x), name=backbone)
    try:
        return getattr(keras.applications, backbone)(
            include_top=False, weights=None, input_tensor=x, input_shape=tuple(shape)
        )
    except ValueError as error:
        found = re.search(r"must be at least (\d+)x\1", str(error))
        if found is None:
            raise
        enough = [max(height, int(found[1])), max(width, int(found[1])), 3]
        raise UserError(
            f"input_shape={shown([*shape])}: too small for model.backbone={backbone}; use input_shape={shown(enough)}"
        ) from error


def require_colour(image_shape: tuple[int, int, int], network: str) -> None:
    """Check that images (height, width, channels) are in colour, which `network` has been trained on.

    Raises:
        UserError: they are not.
    """
    height, width, channels = image_shape
    if channels != 3:
        raise UserError(
            f"input_shape={shown([*image_shape])}: {network} looks at three colours; "
            f"use input_shape={shown([height, width, 3])}"
        )


def load_backbone(model: keras.Model, backbone: Backbone, weights: str, key: str = "model.weights") -> None:
    """Set the weights of a backbone.

    Args:
        model: what `build_backbone` returned for `backbone`.
        backbone: its name.
        weights: "imagenet", which Keras downloads once and keeps, or a file of weights without the classifier:
            an absolute path, or one below the working directory or $CNNLAB_DATA.
        key: of the configuration that gave them.

    Raises:
        UserError: the weights cannot be downloaded or found, or were written for another network.
    """
    if weights == "imagenet":
        model.set_weights(_download(backbone, model.input_shape[1:], key).get_weights())
        finalize_state(model)
    else:
        _load_file(model, backbone, weights, key)
    if backbone.startswith("EfficientNetB"):
        # These weights are for inputs divided once more by the roots of the deviations. Keras has a layer for it
        # only where it loads the weights itself; in the first kernel, the factor is in the network either way.
        stem = model.get_layer("stem_conv").kernel
        stem.assign(np.asarray(stem) / np.sqrt(IMAGENET_STDDEV)[:, np.newaxis])


def _download(backbone: Backbone, image_shape: tuple[int, int, int], key: str) -> keras.Model:
    if backbone == "squeezenet":
        raise UserError(f"{key}=imagenet: Keras has none for squeezenet; give the path of a file, or null")
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras's progress bar is no result
            return getattr(keras.applications, backbone)(
                include_top=False, weights="imagenet", input_shape=tuple(image_shape)
            )
    except Exception as error:  # Keras raises nothing more specific
        if "URL fetch failure" not in str(error):
            raise
        raise UserError(
            f"{key}=imagenet: {error}; give the path of a file that holds {backbone} without its top"
        ) from error


def _load_file(model: keras.Model, backbone: Backbone, weights: str, key: str) -> None:
    file, where = _find(weights, key), f"{key}={weights}"
    legacy = is_legacy(file, where)
    if legacy and Layout() not in read_legacy_hdf5(file, where).layouts:
        raise UserError(
            f"{where}: was written by Keras on Theano, whose kernels are turned; give a file for TensorFlow"
        )
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the exception says all
        # Keras takes the name for the format: `.weights.h5` is its own, `.h5` alone that of versions before 3.
        link = Path(folder) / ("legacy.h5" if legacy else "backbone.weights.h5")
        link.symlink_to(file)
        try:
            model.load_weights(link)
        except (ValueError, OSError, KeyError) as error:
            reason = one_line(error)[:200]
            raise UserError(f"{where}: does not fit {backbone} without its top; Keras says: {reason}") from error


def _find(weights: str, key: str) -> Path:
    path = Path(weights).expanduser()
    bases = [Path(base).absolute() for base in (".", os.environ.get("CNNLAB_DATA")) if base]
    candidates = list(dict.fromkeys(base / path for base in bases))
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    looked = " or ".join(map(str, candidates))
    raise UserError(f"{key}={weights}: no such file; looked for {looked} (imagenet lets Keras download it)")
