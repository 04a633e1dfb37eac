"""Images that TensorFlow cannot read, or would read as no viewer shows them, as plain RGB or grey ones."""

import numpy as np
from PIL import Image, ImageFile

WHITE = (255, 255, 255, 255)


def is_plain(image: Image.Image) -> bool:
    """Whether TensorFlow reads this file as viewers do: 8 bits per value, grey, RGB or a palette, all opaque."""
    if image.format in ("JPEG", "MPO"):
        return image.mode in ("RGB", "L")
    opaque = image.mode in ("RGB", "L", "1", "P") and "transparency" not in image.info
    return image.format == "PNG" and opaque and getattr(image, "n_frames", 1) == 1


def is_cut_to_8_bits(image: ImageFile.ImageFile) -> bool:
    """Whether a file that is not loaded yet has 16 bits per value, of which Pillow would keep the higher 8."""
    return not image.mode.startswith("I") and any(";16" in str(tile.args) for tile in image.tile)


def as_seen(image: Image.Image) -> Image.Image:
    """An image of any kind as a viewer shows it, in mode RGB or L; its orientation is left to the reader.

    Of an animation the first frame is taken, transparency lies over white. Values of 16 or 32 bits are stretched from
    the image's own range, since cameras and scanners of 10 to 14 bits use but the lowest part of it.
    """
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_to_8_bits(np.asarray(image, np.float64)))
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        return _over_white(image.convert("RGBA"))
    return image.convert("L" if image.mode in ("L", "1") else "RGB")


def all_16_bits_seen(png: bytes) -> Image.Image:
    """`as_seen` of a PNG of which Pillow would keep the higher 8 bits (see `is_cut_to_8_bits`).

    Raises:
        OSError: TensorFlow cannot read it.
    """
    import tensorflow as tf  # seldom needed, and slow to import

    try:
        values = tf.io.decode_png(png, dtype=tf.uint16).numpy()
    except tf.errors.OpError as error:
        raise OSError("TensorFlow cannot read this 16-bit PNG") from error
    colors, alpha = (values[..., :-1], values[..., -1:]) if values.shape[-1] in (2, 4) else (values, None)
    seen = _to_8_bits(colors.astype(np.float64))
    if seen.shape[-1] == 1:
        seen = np.repeat(seen, 3, axis=-1)
    if alpha is None:
        return Image.fromarray(seen)
    return _over_white(Image.fromarray(np.concatenate([seen, (alpha >> 8).astype(np.uint8)], axis=-1)))


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """Stretch from the range of all finite values to that of uint8; ∞ is white, -∞ and what is no number black."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    scale = 255 / (high - low) if high > low else 1.0
    scaled = (np.where(np.isnan(values), low, values) - low) * scale
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _over_white(rgba: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", rgba.size, WHITE), rgba).convert("RGB")
