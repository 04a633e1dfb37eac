"""Photographs: reading them, their size and their colours."""

import logging
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from cnnlab.data.conversion import as_seen, is_plain
from cnnlab.data.decode import LUMA
from cnnlab.errors import UserError, one_line

log = logging.getLogger(__name__)

STABLE = 1e-5
"""Of the range squared: variance that is added in every direction, since one colour alone has none to divide by."""


def read_photograph(file: str, key: str) -> np.ndarray:
    """Read an image as viewers show it (see `as_seen`), turned upright as its EXIF tag says; a conversion is told.

    Args:
        file: anything Pillow reads.
        key: of the configuration that names it.

    Returns:
        Float32 (H, W, 3) from 0 to 255.

    Raises:
        UserError: there is no such file, or it cannot be decoded.
    """
    try:
        with Image.open(Path(file).expanduser()) as image:
            kind = "" if is_plain(image) else f"{image.format} {image.mode}"
            upright = as_seen(ImageOps.exif_transpose(image)).convert("RGB")
    except FileNotFoundError as error:
        raise UserError(f"{key}={file}: no such file; give an image, such as a JPEG or PNG") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{key}={file}: cannot be read as an image ({one_line(error)}); give another, or convert it"
        ) from error
    if kind:
        log.info("%s=%s: %s, is converted to 8-bit RGB", key, file, kind)
    return np.asarray(upright, np.float32)


def fitted(height: int, width: int, longest: int) -> tuple[int, int]:
    """Height and width in the same proportion, the longer of which is `longest`."""
    scale = longest / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize by bicubic interpolation, antialiased when shrinking: float32 (H, W, 3) to (*size, 3), from 0 to 255."""
    if image.shape[:2] == size:
        return image
    return np.clip(tf.image.resize(image, size, method="bicubic", antialias=True), 0, 255)


def luminance(image: np.ndarray) -> np.ndarray:
    """Brightness alone, as an image of three equal channels."""
    return np.repeat(image @ np.array(LUMA, np.float32)[:, np.newaxis], 3, axis=-1)


def with_luminance(image: np.ndarray, brightness: np.ndarray) -> np.ndarray:
    """An image with its own colours but the luminance of another of the same size, both (H, W, 3) from 0 to 255.

    In YIQ, brightness is added to red, green and blue alike.
    """
    return np.clip(image + luminance(brightness) - luminance(image), 0, 255)


def match_colors(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Give an image the mean and covariance of the colours of another (clipped to the range, so nearly).

    The linear map of Gatys, Bethge, Hertzmann & Shechtman, "Preserving color in neural artistic style transfer"
    (2016), section 2.1, in the form without rotation of the axes (their "image analogies" one).

    Args:
        image: float32 (H, W, 3) from 0 to 255.
        reference: float32 (h, w, 3) from 0 to 255.

    Returns:
        As `image`.
    """
    from_mean, from_covariance = _moments(image)
    to_mean, to_covariance = _moments(reference)
    transform = _power(to_covariance, 0.5) @ _power(from_covariance, -0.5)
    return np.clip((image - from_mean) @ transform.T + to_mean, 0, 255).astype(np.float32)


def _moments(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    colours = image.reshape(-1, 3).astype(np.float64)
    return colours.mean(axis=0), np.cov(colours, rowvar=False, bias=True) + STABLE * 255**2 * np.eye(3)


def _power(covariance: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * values**exponent) @ vectors.T
