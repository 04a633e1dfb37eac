"""A new head on a backbone of KerasHub."""

import logging
from typing import Any, Literal

import keras

from cnnlab.config.types import shown
from cnnlab.errors import UserError
from cnnlab.models.backbones import require_colour
from cnnlab.models.transfer import HeadPooling, find_layer, freeze, head, mark_pretrained

log = logging.getLogger(__name__)


def hub(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    preset: str,
    weights: Literal["preset"] | None = "preset",
    cut: str | None = None,
    fine_tune_from: str | None = None,
    pooling: HeadPooling = "average",
    dense: int | None = None,
    dropout: float = 0.2,
    l2: float = 0.0,
) -> keras.Model:
    """Train a new head, and if asked for the last layers, of a backbone that KerasHub has.

    The preset's own scaling of pixels is the network's first layer; its size of images is not imposed, but told where
    it is another. Layers that are not fine-tuned stay as they are, as in `transfer`.

    Args:
        input_shape: (height, width, channels) of the images.
        num_classes: number of logits.
        preset: a name, which KerasHub downloads once and keeps, or a folder that `save_to_preset` wrote.
        weights: "preset"; None for random ones.
        cut, fine_tune_from, pooling, dense, dropout, l2: see `transfer`.

    Returns:
        A functional model from RGB values (N, *input_shape) of 0 to 255 to logits (N, num_classes).

    Raises:
        UserError: there is no such preset, it is no backbone for such images, or has no such layer.
    """
    require_colour(input_shape, f"model.preset={preset}")
    images = keras.Input(input_shape, name="images")
    backbone = _load(preset, input_shape, with_weights=weights is not None)
    if weights is not None:
        mark_pretrained(backbone)
    maps = backbone.output if cut is None else find_layer(backbone, cut, "cut", preset).output
    if isinstance(maps, dict | list) or len(maps.shape) != 4:
        raise UserError(f"model.preset={preset}: returns no feature maps; give model.cut=LAYER, a layer that does")
    inner = keras.Model(backbone.inputs, maps, name="backbone")  # a plain functional model, which Keras alone can load
    freeze(inner, fine_tune_from, preset)
    x = inner(_scaling(preset, input_shape)(images))
    logits = head(x, num_classes, pooling=pooling, dense=dense, dropout=dropout, l2=l2)
    return keras.Model(images, logits, name="hub")


def _load(preset: str, input_shape: tuple[int, int, int], *, with_weights: bool) -> keras.Model:
    import keras_hub  # an extra, which takes seconds

    arguments = {"image_shape": tuple(input_shape), "dtype": keras.config.dtype_policy()}
    try:
        return keras_hub.models.Backbone.from_preset(preset, load_weights=with_weights, **arguments)
    except (ValueError, TypeError, OSError) as error:  # requests' errors are OSErrors
        raise UserError(f"model.preset={preset}: {_reason(error)}") from error


def _scaling(preset: str, input_shape: tuple[int, int, int]) -> keras.layers.Layer:
    """The preset's preprocessing of pixels, as a layer of Keras's own."""
    import keras_hub

    try:
        converter: Any = keras_hub.layers.ImageConverter.from_preset(preset)
    except (ValueError, TypeError, OSError) as error:
        raise UserError(f"model.preset={preset}: does not say how it scales pixels; {_reason(error)}") from error
    size = converter.image_size
    if size is not None and tuple(size) != tuple(input_shape[:2]):
        log.warning(
            "model.preset=%s: its images are %s pixels, yours %s", preset, shown([*size]), shown([*input_shape[:2]])
        )
    scale, offset = (1.0 if converter.scale is None else converter.scale), converter.offset or 0.0
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="backbone_preprocessing")


def _reason(error: Exception) -> str:
    """The first line of what KerasHub says."""
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
