"""Projecting single activations down to the pixels, as a deconvnet does."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from cnnlab.errors import UserError
from cnnlab.models.backbones import BackbonePreprocessing
from cnnlab.models.graph import linear, run_graph
from cnnlab.models.layers import ChannelSelection, LocalResponseNormalization
from cnnlab.models.operation_names import operation_names
from cnnlab.models.whitening import PatchWhitening, ZCAWhitening

TRANSPOSED = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Dense,
    keras.layers.AveragePooling2D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.UpSampling2D,
    keras.layers.BatchNormalization,
    keras.layers.Rescaling,
    keras.layers.Normalization,
    keras.layers.Add,
    keras.layers.Subtract,
    keras.layers.Average,
    keras.layers.Concatenate,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
    keras.layers.Identity,
    keras.layers.Activation,
    BackbonePreprocessing,
    ChannelSelection,
    PatchWhitening,
    ZCAWhitening,
)
"""Linear layers, whose gradient is their transpose (but for an activation function of their own)."""

SWITCHED = (keras.layers.MaxPooling2D, keras.layers.GlobalMaxPooling2D)
"""Their gradient goes where the maximum was: the recorded switches."""

DROPPING = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.AlphaDropout,
)
"""They do nothing but in training."""

LINEAR_OPERATIONS = ("Add", "Subtract", "Negative")
"""The same for operations of keras.ops, which have no public class."""

Compute = Callable[[], tf.Tensor]


def projector(network: keras.Model, layer: str) -> tf.types.experimental.PolymorphicFunction:
    """A function that projects activations of one layer down to the pixels.

    After Zeiler and Fergus, "Visualizing and understanding convolutional networks" (2013), section 2.1: all
    other activations of the layer are set to zero, and what is left passes down through the transposed filters,
    through max-pooling by the switches that the forward pass recorded, and through rectifiers by being rectified
    itself, whatever their input was. So it is the gradient, but for rectifiers, and for local response
    normalisation, which as in the paper lets everything pass. Batch normalisation is its fixed scaling, average
    pooling spreads evenly, and branches add up.

    Args:
        network: from pixels to logits.
        layer: name of a layer.

    Returns:
        A compiled function from pixels, float32 (n, H, W, C), and of each image the activation that is kept, by
        channel (n,), position (n, 2) as row and column (0, 0 in a layer without) and value (n,), to projections
        (n, H, W, C), in units of the activation per grey level of a pixel.

    Raises:
        UserError: by the function: a layer on the way down has neither a transpose nor switches nor rectifies.
    """

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, *network.input_shape[1:]), tf.float32),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None, 2), tf.int32),
            tf.TensorSpec((None,), tf.float32),
        ],
        autograph=False,
    )
    def project(pixels: tf.Tensor, channels: tf.Tensor, positions: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            output = deconvnet_outputs(network, [layer], pixels)[layer]
        count = tf.shape(output)[0]
        place = (positions, channels[:, tf.newaxis]) if len(output.shape) == 4 else (channels[:, tf.newaxis],)
        kept = tf.scatter_nd(tf.concat([tf.range(count)[:, tf.newaxis], *place], axis=1), values, tf.shape(output))
        return tape.gradient(output, pixels, output_gradients=kept, unconnected_gradients="zero")

    return project


def deconvnet_outputs(network: keras.Model, names: Sequence[str], pixels: tf.Tensor) -> dict[str, tf.Tensor]:
    """What layers of a network return, differentiable by the rules of a deconvnet (see `projector`).

    Args:
        network: from pixels to logits.
        names: of layers.
        pixels: float32 (n, H, W, C).

    Returns:
        Outputs by layer name. Their gradient raises UserError where a layer below them has no rule.
    """
    kept, name_of = {}, operation_names(network)

    def visit(operation: keras.Operation, inputs: tf.Tensor, compute: Compute) -> tf.Tensor:
        output = _with_rule(operation, inputs, compute)
        if (name := name_of[operation]) in names:
            kept[name] = output
        return output

    run_graph(network, pixels, visit)
    return kept


def _with_rule(operation: keras.Operation, inputs: tf.Tensor, compute: Compute) -> tf.Tensor:
    """Compute an operation so that its gradient is what a deconvnet passes down."""
    kind = type(operation).__name__
    if kind == "Relu" or (kind == "ReLU" and _is_plain(operation)):
        return _rectified(inputs)
    if isinstance(operation, LocalResponseNormalization):
        return _with_gradient(inputs, compute(), lambda upstream: upstream)
    if isinstance(operation, DROPPING):
        return inputs
    if isinstance(operation, SWITCHED) or kind in LINEAR_OPERATIONS:
        return compute()
    if isinstance(operation, TRANSPOSED):
        with linear(operation) as activation:
            if activation is keras.activations.linear:
                return compute()
            if activation is keras.activations.relu:
                return _rectified(compute())
    return _refuse(operation, compute(), inputs)


def _is_plain(relu: keras.Operation) -> bool:
    """Of the layer keras.layers.ReLU and of the operation keras.activations.relu, which have the same options."""
    return relu.max_value is None and not relu.negative_slope and not relu.threshold


def _rectified(inputs: tf.Tensor) -> tf.Tensor:
    return _with_gradient(inputs, tf.nn.relu(inputs), tf.nn.relu)


def _with_gradient(inputs: tf.Tensor, outputs: tf.Tensor, gradient: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """`outputs`, with `gradient` in place of the one towards `inputs`."""
    fixed = tf.stop_gradient(outputs)
    return tf.custom_gradient(lambda values: (tf.identity(fixed), gradient))(inputs)


def _refuse(operation: keras.Operation, outputs: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
    """`outputs`, through which nothing can be projected."""

    def gradient(_: tf.Tensor) -> tf.Tensor:
        function = getattr(getattr(operation, "activation", None), "__name__", "")
        what = f"{type(operation).__name__} {function}".strip()
        raise UserError(
            f"method=deconvnet: nothing can be projected down through {operation.name} ({what}), which neither is "
            "linear nor rectifies nor takes maxima; choose method.layers below it, or method=guided_backprop"
        )

    return _with_gradient(inputs, outputs, gradient)
