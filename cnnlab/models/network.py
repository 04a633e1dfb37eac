"""From the configuration to a network, its preprocessing, and the model that leaves a run."""

import math
from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import tree
from omegaconf import DictConfig

from cnnlab.config.instantiate import instantiate
from cnnlab.config.targets import is_ours
from cnnlab.config.types import shown
from cnnlab.data.dataset import ImageShape, Split
from cnnlab.data.sample import decoded
from cnnlab.errors import UserError
from cnnlab.models.blocks import Collapsed
from cnnlab.models.contract import conform
from cnnlab.models.contrast_normalization import ContrastNormalization
from cnnlab.models.whitening import AdaptedLayer, ZCAWhitening

LABELS = ("preprocessing", "head", "auxiliary_loss_weight", "outputs")
"""Keys of a model group that are no arguments of its builder."""

FITTING_BATCH = 512
FITTING_BYTES = 256 * 2**20
"""How many pixels of a dataset of files are decoded to fit the preprocessing."""

WHITENING_LIMIT = 64 * 64 * 3
"""Values per image beyond which the whitening matrix (their number squared) would take gigabytes."""


def build_network(
    config: DictConfig, image_shape: ImageShape, num_classes: int, *, pretrained: bool = True
) -> keras.Model:
    """Build the network a model group describes, in the dtype policy that is set.

    Args:
        config: the model group of the configuration; its `head` says how many logits there are.
        image_shape: (height, width, channels).
        num_classes: the classes to tell apart.
        pretrained: whether a model whose group has `weights` gets them. Without, nothing is read or downloaded:
            for a network that is only to be looked at, or gets all of its weights from elsewhere.

    Returns:
        A functional model from preprocessed float images (N, H, W, C) to logits: (N, num_classes) for a
        softmax, (N, 1), the second class's against the first's, for a sigmoid. A model with auxiliary heads
        returns a list, the logits that count first.

    Raises:
        UserError: the builder refuses its arguments, the image shrinks to nothing on the way, a sigmoid
            is to tell apart more or fewer than two classes, or the model of another builder than cnnlab's does
            not take such images or return such logits (see `conform`).
    """
    if config.head == "sigmoid" and num_classes != 2:
        raise UserError(f"model.head=sigmoid: tells two classes apart, not {num_classes}; use model.head=softmax")
    outputs = 1 if config.head == "sigmoid" else num_classes

    def build(shape: ImageShape, pretrained: bool = False) -> keras.Model:
        without = {} if pretrained or "weights" not in config else {"weights": None}
        return instantiate(config, drop=LABELS, input_shape=shape, num_classes=outputs, **without)

    try:
        network = build(image_shape, pretrained)
    except Collapsed as error:
        raise UserError(
            f"input_shape={shown([*image_shape])}: too small for model={config.name}, whose layer {error.layer} gets "
            f"{error.height}x{error.width} pixels; use input_shape={shown([*_large_enough(build, image_shape)])}"
        ) from error
    ends_in = config.get("outputs", "auto")
    if not is_ours(config._target_):  # cnnlab's own are as `conform` makes the others
        return conform(network, image_shape, outputs, f"model._target_={config._target_}", ends_in)
    if ends_in == "probabilities":
        raise UserError("model.outputs=probabilities: is for models of your own; cnnlab's end in logits")
    return network


def build_preprocessing(config: DictConfig, image_shape: ImageShape) -> keras.Model:
    """Build what turns stored images into the network's input: rescaling, contrast, normalisation, ZCA, in this order.

    Args:
        config: the node `preprocessing` of a model group; a key that is not there leaves its layer out:
            rescaling: bring pixels from 0-255 to 0-1.
            contrast_normalization: bring each image to mean 0 and one L2 norm (see ContrastNormalization).
            normalization: bring each channel to mean 0 and variance 1 over the training split.
            zca_epsilon: whiten (see ZCAWhitening), adding this to the eigenvalues of the covariance of what
                the layers before return: variances of 0-1 pixels after rescaling alone; relative to
                a variance of 1 after normalisation, of about 1 after contrast normalisation of 32×32×3 images.
                None leaves whitening out.
        image_shape: (height, width, channels).

    Returns:
        A functional model from uint8 (N, H, W, C) to float32 (N, H, W, C), in float32 whatever the dtype
        policy, not yet fitted.

    Raises:
        UserError: the images are too large to be whitened.
    """
    images = keras.Input(image_shape, dtype="uint8", name="images")
    if config.get("rescaling"):
        x = keras.layers.Rescaling(1 / 255, dtype="float32", name="rescaling")(images)
    else:
        x = keras.layers.Rescaling(1.0, dtype="float32", name="to_float")(images)
    if config.get("contrast_normalization"):
        x = ContrastNormalization(dtype="float32", name="contrast_normalization")(x)
    if config.get("normalization"):
        x = keras.layers.Normalization(axis=-1, dtype="float32", name="normalization")(x)
    if config.get("zca_epsilon") is not None:
        _require_whitenable(config.zca_epsilon, image_shape)
        x = ZCAWhitening(config.zca_epsilon, dtype="float32", name="zca_whitening")(x)
    return keras.Model(images, x, name="preprocessing")


def fit_preprocessing(preprocessing: keras.Model, split: Split, seed: int) -> None:
    """Fit each layer that has something to fit to what the layers before it make of the images.

    Args:
        preprocessing: what `build_preprocessing` returned.
        split: the training split. All images of an array are used; of files, a sample of at most
            FITTING_BYTES of pixels is decoded.
        seed: draws the sample.

    Raises:
        UserError: a file of the sample cannot be decoded.
    """
    layers = [layer for layer in preprocessing.layers if _is_fitted(layer)]
    if not layers:
        return
    images = _fitting_images(split, seed)
    for layer in layers:
        layer.adapt(_outputs(keras.Model(preprocessing.input, layer.input), images))


def fit_network(network: keras.Model, preprocessing: keras.Model, split: Split, seed: int) -> None:
    """Fit the layers of a network that are fitted to images rather than trained: see `AdaptedLayer`.

    Keras's own layers that could be are left as they were built: in a backbone they hold what belongs to its weights.

    Args:
        network: what `build_network` returned.
        preprocessing: fitted already.
        split, seed: as for `fit_preprocessing`.

    Raises:
        UserError: a file of the sample cannot be decoded, or such a layer lies inside of another one.
    """
    for layer in network._flatten_layers(include_self=False):
        if _is_fitted(layer) and not type(layer).__module__.startswith("keras."):
            _require_in_graph(layer, network)
            before = keras.Model(network.inputs[0], layer.input)  # of a sequential model, `input` is not known
            path = keras.Model(preprocessing.input, before(preprocessing.output))
            layer.adapt(_outputs(path, _fitting_images(split, seed)))


def _is_fitted(layer: keras.Layer) -> bool:
    return isinstance(layer, AdaptedLayer)  # in a function, lest the type checker forget its `input`


def _require_in_graph(layer: keras.Layer, network: keras.Model) -> None:
    if layer not in network.layers:
        raise UserError(
            f"{network.name}: {layer.name} is to be fitted to what reaches it, but lies inside of another layer or a "
            "subclassed model; build a functional model of which it is a layer"
        )


def export(preprocessing: keras.Model, network: keras.Model) -> keras.Model:
    """Join preprocessing and network to the model that leaves a run; the layers are shared, not copied.

    Returns:
        A functional model from uint8 images (N, H, W, C) to float32 probabilities: (N, num_classes), or for a
        network with one logit (N, 1), the second class's. It consists of `images`, `preprocessing`, the
        network under its own name, and `probabilities`; auxiliary heads lead nowhere.
    """
    images = keras.Input(preprocessing.input_shape[1:], dtype="uint8", name="images")
    logits = tree.flatten(network(preprocessing(images)))[0]
    activation = "sigmoid" if logits.shape[-1] == 1 else "softmax"
    probabilities = keras.layers.Activation(activation, dtype="float32", name="probabilities")(logits)
    return keras.Model(images, probabilities, name="exported")


def take_apart(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The preprocessing and the network of a model that `export` made, also of a loaded one.

    Raises:
        ValueError: `export` did not make it.
    """
    names = [layer.name for layer in model.layers]
    if len(names) != 4 or (names[0], names[1], names[3]) != ("images", "preprocessing", "probabilities"):
        raise ValueError(f"not a model exported by cnnlab: its layers are {', '.join(names)}")
    return model.layers[1], model.layers[2]


def _large_enough(build: Callable[[ImageShape], keras.Model], image_shape: ImageShape) -> ImageShape:
    """The smallest image shape that `build` accepts: sides shorter than a limit are brought up to it."""
    height, width, channels = image_shape

    def enlarged(side: int) -> ImageShape:
        return max(height, side), max(width, side), channels

    def accepts(side: int) -> bool:
        try:
            build(enlarged(side))
        except Collapsed:
            return False
        return True

    too_small = min(height, width)
    enough = 2 * too_small
    while not accepts(enough):
        too_small, enough = enough, 2 * enough
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        too_small, enough = (too_small, middle) if accepts(middle) else (middle, enough)
    return enlarged(enough)


def _require_whitenable(epsilon: float, image_shape: ImageShape) -> None:
    size = math.prod(image_shape)
    if size > WHITENING_LIMIT:
        raise UserError(
            f"model.preprocessing.zca_epsilon={epsilon}: whitening images of {shown([*image_shape])} "
            f"takes a matrix of {size}x{size}; use zca_epsilon=null, or images of at most 64x64x3 (input_shape=…)"
        )


def _fitting_images(split: Split, seed: int) -> np.ndarray:
    if isinstance(split.images, np.ndarray):
        return split.images
    count = max(1, FITTING_BYTES // math.prod(split.images.image_shape))
    if count < len(split):
        split = split.take(np.sort(np.random.default_rng(seed).choice(len(split), count, replace=False)))
    return decoded(split).images


def _outputs(model: keras.Model, images: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(images), FITTING_BATCH):
        yield np.asarray(model(images[start : start + FITTING_BATCH]))
