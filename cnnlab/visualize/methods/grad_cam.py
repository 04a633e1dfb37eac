"""`method=grad_cam`: where a layer sees what speaks for a class."""

from functools import partial
from pathlib import Path
from typing import Annotated

import keras
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.ranges import AT_LEAST_0
from cnnlab.config.types import shown
from cnnlab.errors import UserError
from cnnlab.visualize.attribution.maps import Images, Target, ask, attribute, report
from cnnlab.visualize.attribution.scores import class_scores
from cnnlab.visualize.images import SplitName
from cnnlab.visualize.layers import activated, choose_layers, convolutions, layer_outputs


def draw_grad_cam(
    config: DictConfig,
    folder: Path,
    *,
    images: Images = 4,
    split: SplitName = "auto",
    target: Target = None,
    layer: str | None = None,
    seed: Annotated[int, AT_LEAST_0] = 0,
) -> None:
    """Draw the class activation map of a layer, enlarged to the images' size.

    Writes grad_cam.png and grad_cam.npz: `coarse` float32 (n, h, w), as the layer has it, `maps` (n, H, W), and
    `images`, `classes`, `probabilities` and, where known, `labels`.

    Args:
        config: `run`, or `weights` with `model` and `dataset`.
        folder: where to write.
        images, split, seed: see `choose_images`.
        target: a class; None for the predicted one, "label" for the image's own.
        layer: its name; None for the last convolution, after its activation where that is a layer of its own.

    Raises:
        UserError: there is no such image, class or layer, or the layer returns no maps.
    """
    question = ask(config, images, split, target, seed)
    network = question.subject.network
    name = map_layer(network, layer)
    coarse = attribute(question, partial(grad_cam, network, layer=name), f"gradients of {name}")
    maps = tf.image.resize(coarse[..., tf.newaxis], question.subject.image_shape[:2], method="bilinear")[..., 0].numpy()
    height, width = coarse.shape[1:]
    notes = [f"{name}, {height}×{width}"] * len(maps)
    report(question, folder, "grad_cam", maps, "weighted activation", notes=notes, coarse=coarse)


def grad_cam(network: keras.Model, images: tf.Tensor, classes: tf.Tensor, *, layer: str) -> tf.Tensor:
    """The positive part of a layer's maps, each weighted by the mean gradient of the class score towards it, after
    Selvaraju et al., "Grad-CAM" (2017), equations 1 and 2.

    Args:
        network: from pixels to logits.
        images: float32 (n, H, W, C), 0 to 255.
        classes: int32 (n,).
        layer: the name of a layer that returns maps.

    Returns:
        Float32 (n, h, w), not negative, at the layer's resolution.
    """
    evaluate = layer_outputs(network, [layer])
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)  # so that all that follows is recorded
        kept, logits = evaluate(images)
        scores = class_scores(logits, classes)
    maps = kept[layer]
    gradients = tape.gradient(scores, maps, unconnected_gradients="zero")
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1))


def map_layer(network: keras.Model, layer: str | None) -> str:
    """The name of a layer that returns maps; of None, that of the last convolution or of its activation.

    Raises:
        UserError: there is no such layer, or it returns no maps.
    """
    name = layer or activated(network, convolutions(network)[-1])
    shape = choose_layers(network, [name], "method.layer")[0].output.shape[1:]
    if len(shape) != 3 or shape[0] * shape[1] == 1:
        raise UserError(
            f"method.layer={name}: returns no maps but {shown([*shape])} per image; choose a layer before it"
        )
    return name
