"""What cnnlab asks of a network, and bringing a model of the user's own to it."""

import logging
from collections.abc import Callable
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from keras import KerasTensor, tree

from cnnlab.config.types import shown
from cnnlab.data.dataset import ImageShape
from cnnlab.errors import UserError, one_line
from cnnlab.models.graph import function_of, is_open, traced_anew

log = logging.getLogger(__name__)

PASSED_ON = frozenset({"Identity", "Reshape", "Squeeze", "Cast", "Mean", "EnsureShape"})
"""TensorFlow's operations behind which probabilities are probabilities still; Mean: of global average pooling."""

RESHAPING = (keras.layers.Reshape, keras.layers.Flatten, keras.layers.Identity)

SMALLEST = {"Softmax": 1e-30, "Sigmoid": 1e-7}
"""What smaller probabilities are raised to before a logarithm makes logits of them."""

HINT = " (if not, use model.outputs=logits)"

EndsIn = Literal["auto", "logits", "probabilities"]

PROBES = 8
"""Random images whose outputs show whether they are probabilities, where the graph does not."""

TOLERANCE = 0.02
"""How far from 1 the sum of probabilities may be, in bfloat16."""


def conform(model: Any, image_shape: ImageShape, outputs: int, key: str, ends_in: EndsIn = "auto") -> keras.Model:
    """Make of what a builder returned a functional model from images to logits, as all of cnnlab expects it.

    A subclassed model becomes the one layer of a functional model. Sizes that a model, or one inside of it, leaves open
    become those of the images. A softmax or sigmoid at the end is taken off, or, where the model hides it, undone by a
    logarithm: the loss and the exported model have their own. It is recognised by TensorFlow's graph, and where that
    ends otherwise, by the outputs for random images: probabilities are not negative and sum to 1.

    Args:
        model: what the builder returned; is used up (see `traced_anew`).
        image_shape: (height, width, channels) of the preprocessed images.
        outputs: how many logits there must be.
        key: names the model in messages, such as "model._target_=mynet.build".
        ends_in: what `model.outputs` says the model returns; auto finds it out.

    Returns:
        A functional or sequential model from float images (N, H, W, C) to logits (N, outputs), or a list of
        these, one per head.

    Raises:
        UserError: it is no Keras model, or takes or returns something else, also than `ends_in` says.
    """
    if not isinstance(model, keras.Model):
        raise UserError(f"{key}: returns {type(model).__name__}, not a keras.Model")
    network = from_images(model, image_shape, key)
    _require_logits(network, outputs, key)
    return without_probabilities(network, image_shape, key, ends_in, HINT, "the loss and the exported model have")


def from_images(model: keras.Model, image_shape: ImageShape, key: str) -> keras.Model:
    """Make of a Keras model a functional one that takes float images of one size.

    Args:
        model: is used up; see `traced_anew`.
        image_shape: (height, width, channels).
        key: names the model in messages.

    Returns:
        A functional or sequential model that shares the layers, all of whose sizes are known.

    Raises:
        UserError: it takes something else.
    """
    network = _called(lambda: _functional(model, image_shape), image_shape, key)
    _require_images(network, image_shape, key)
    if not is_open(network):
        return network
    images = keras.Input(image_shape, dtype="float32", name="images")
    return _called(lambda: traced_anew(network, images), image_shape, key)


def _functional(model: keras.Model, image_shape: ImageShape) -> keras.Model:
    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, *image_shape))
    if function_of(model) is not None:
        return model
    images = keras.Input(image_shape, name="images")
    return keras.Model(images, model(images), name=model.name)


def _called(call: Callable[[], keras.Model], image_shape: ImageShape, key: str) -> keras.Model:
    try:
        return call()
    except (ValueError, TypeError, NotImplementedError, tf.errors.OpError) as error:
        raise UserError(f"{key}: cannot be called on images of {shown([*image_shape])}; {one_line(error)}") from error


def _require_images(network: keras.Model, image_shape: ImageShape, key: str) -> None:
    if len(network.inputs) != 1:
        raise UserError(f"{key}: takes {len(network.inputs)} inputs; it must take one, the images")
    shape = network.inputs[0].shape[1:]
    if len(shape) == 3 and all(side in (None, ours) for side, ours in zip(shape, image_shape, strict=True)):
        return
    hint = "build it for the input_shape that its builder is called with"
    if len(shape) == 3 and None not in shape:
        hint += f", or set input_shape={shown([*shape])}"
    raise UserError(f"{key}: takes inputs of {shown([*shape])}, the images are {shown([*image_shape])}; {hint}")


def _require_logits(network: keras.Model, outputs: int, key: str) -> None:
    function = function_of(network)
    structure = function.output if function else None
    if isinstance(structure, dict):
        raise UserError(
            f"{key}: returns a dict of {', '.join(structure)}; return the logits, or a list of heads, "
            "the one that counts first"
        )
    for number, output in enumerate(network.outputs):
        head = f"head {number} " if len(network.outputs) > 1 else ""
        if len(output.shape) != 2:
            raise UserError(
                f"{key}: {head}returns the shape {shown([*output.shape])}, not [null,{outputs}]: one logit per class; "
                "end it in GlobalAveragePooling2D or Flatten, and Dense(num_classes)"
            )
        if output.shape[1] != outputs:
            needs = "one sigmoid unit (model.head=sigmoid) needs" if outputs == 1 else f"{outputs} classes need"
            sigmoid = ", or use model.head=sigmoid" if (outputs, output.shape[1]) == (2, 1) else ""
            raise UserError(
                f"{key}: {head}is {output.shape[1]} wide, but {needs} {outputs}; "
                f"make its last layer as wide as the num_classes that its builder is called with{sigmoid}"
            )


def without_probabilities(
    network: keras.Model, image_shape: ImageShape, key: str, ends_in: EndsIn, hint: str, because: str
) -> keras.Model:
    """Take a softmax or sigmoid off a network's end, or undo it; see `conform`.

    Args:
        network: from images to logits or probabilities; its last layer may be changed in place.
        image_shape, key, ends_in: as for `conform`.
        hint: told where only the values have shown that there are probabilities.
        because: begins the reason that is told, such as "the loss has", before "a softmax".

    Raises:
        UserError: its outputs are no probabilities, which `ends_in` says they are.
    """
    endings = _endings(network, image_shape)
    if ends_in == "logits":
        for ending in filter(None, endings):
            log.warning(
                "%s: ends in a %s, whose values are taken for logits, as model.outputs says", key, ending.lower()
            )
        return network
    by_values: list[str | None] = [None] * len(endings)
    if None in endings:
        by_values = [_ending_by_values(values, key, ends_in) for values in _probe(network, image_shape)]
    outputs = [
        output if ending is None and seen is None else _logits(output, ending, seen, key, hint, because)
        for output, ending, seen in zip(network.outputs, endings, by_values, strict=True)
    ]
    if all(ours is theirs for ours, theirs in zip(outputs, network.outputs, strict=True)):
        return network
    return keras.Model(network.inputs[0], outputs[0] if len(outputs) == 1 else outputs, name=network.name)


def _endings(network: keras.Model, image_shape: ImageShape) -> list[str | None]:
    """What each output ends in, "Softmax", "Sigmoid" or neither, read off TensorFlow's graph of the network.

    Keras's own graph does not tell what a subclassed model does.
    """
    call = tf.function(lambda images: tree.flatten(network(images, training=False)), autograph=False)
    graph = call.get_concrete_function(tf.TensorSpec((None, *image_shape), tf.float32)).graph
    endings = []
    for output in graph.outputs:
        operation = output.op
        while operation.type in PASSED_ON:
            operation = operation.inputs[0].op
        endings.append(operation.type if operation.type in SMALLEST else None)
    return endings


def _probe(network: keras.Model, image_shape: ImageShape) -> list[np.ndarray]:
    """The outputs (PROBES, K) for random images, one array per head."""
    images = np.random.default_rng(0).uniform(size=(PROBES, *image_shape)).astype("float32")
    return [np.asarray(keras.ops.cast(head, "float32")) for head in tree.flatten(network(images, training=False))]


def _ending_by_values(outputs: np.ndarray, key: str, ends_in: EndsIn) -> str | None:
    """What outputs (n, K) look like: "Softmax" where each row is of probabilities of classes, else None.

    Raises:
        UserError: they are no probabilities, which `ends_in` says they are.
    """
    sums_to_1 = np.isclose(outputs.sum(axis=1), 1, atol=TOLERANCE).all() and outputs.shape[1] > 1
    are_shares = (outputs >= 0).all() and (outputs <= 1 + TOLERANCE).all()
    if ends_in == "probabilities":
        if not are_shares:
            low, high = outputs.min(), outputs.max()
            raise UserError(
                f"model.outputs=probabilities: {key} returns values from {low:.3g} to {high:.3g}; end it in a softmax "
                "or sigmoid, or use model.outputs=logits"
            )
        return "Softmax" if sums_to_1 else "Sigmoid"
    return "Softmax" if are_shares and sums_to_1 else None


def _logits(output: KerasTensor, known: str | None, seen: str | None, key: str, hint: str, because: str) -> KerasTensor:
    """The logits whose softmax or sigmoid `output` is; the same tensor where its layer now returns them itself.

    Args:
        known: what it ends in by the graph; None where that does not tell.
        seen: what it ends in by its values.
        key, hint, because: see `without_probabilities`.
    """
    ending = known or str(seen)
    name, width = ending.lower(), output.shape[1]
    node, alone, is_last = _final_use(output)
    operation = node.operation
    how = "which is taken off"
    if getattr(getattr(operation, "activation", None), "__name__", "") == name and alone:
        operation.activation = keras.activations.linear
    elif is_last and type(operation).__name__ == ending:
        output = node.input_tensors[0]
    else:
        how = "which is undone by a logarithm"
        output = _log_odds(output, ending)
    own = "sigmoid" if width == 1 else "softmax"
    exclusive = f", for {width} classes exclude each other" if name != own else ""
    told = "ends in" if known else f"returns the probabilities{hint} of"
    log.warning("%s: %s a %s, %s: %s a %s%s", key, told, name, how, because, own, exclusive)
    return output


def _final_use(output: KerasTensor) -> tuple[Any, bool, bool]:
    """What computes the values of `output`.

    Returns:
        Keras's node of the operation; whether nothing else reads these values, on their way neither; and whether
        the operation is the very last of the network.
    """
    alone, is_last, readers = True, True, 0
    while True:
        operation, node_index, tensor_index = output._keras_history
        node = operation._inbound_nodes[node_index]
        alone = alone and len(operation._inbound_nodes) == 1 and len(operation._outbound_nodes) <= readers
        inner = function_of(operation)
        if inner is not None:
            output, readers = inner.outputs[tensor_index], 0
        elif isinstance(operation, RESHAPING) or type(operation).__name__ in ("Reshape", "Squeeze"):
            output, readers = node.input_tensors[0], 1
        else:
            return node, alone, is_last
        is_last = False


def _log_odds(probabilities: KerasTensor, ending: str) -> KerasTensor:
    smallest = SMALLEST[ending]
    probabilities = keras.ops.clip(keras.ops.cast(probabilities, "float32"), smallest, 1.0 - smallest)
    if ending == "Softmax":
        return keras.ops.log(probabilities)
    return keras.ops.log(probabilities) - keras.ops.log(1.0 - probabilities)
