"""Images that TensorFlow cannot read, or would read as no viewer shows them, as plain RGB or grey ones."""

import numpy as np
from PIL import Image

WHITE = (255, 255, 255, 255)


def is_plain(image: Image.Image) -> bool:
    """Whether TensorFlow reads this file as viewers do: 8 bits per value, grey, RGB or a palette, all opaque."""
    if image.format in ("JPEG", "MPO"):
        return image.mode in ("RGB", "L")
    opaque = image.mode in ("RGB", "L", "1", "P") and "transparency" not in image.info
    return image.format == "PNG" and opaque and getattr(image, "n_frames", 1) == 1


def as_seen(image: Image.Image) -> Image.Image:
    """An image of any kind as a viewer shows it, in mode RGB or L; its orientation is left to the reader.

    Of an animation the first frame is taken, transparency lies over white. Values of 16 or 32 bits are stretched from
    the image's own range, since cameras and scanners of 10 to 14 bits use but the lowest part of it; 16-bit RGB,
    which Pillow reads by the high byte, is the exception.
    """
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, np.float64)
        low, high = np.nanmin(values), np.nanmax(values)
        scaled = (values - low) * (255 / (high - low) if high > low else 0)
        return Image.fromarray(np.nan_to_num(np.rint(scaled)).astype(np.uint8))
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, WHITE), rgba).convert("RGB")
    return image.convert("L" if image.mode in ("L", "1") else "RGB")
