"""Pixel values and the light that they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""``(H, W, 3)`` RGB."""
Image = NDArray[np.float32]
"""``(H, W, 3)`` in [0, 1], unless stated otherwise."""


def full_scale(dtype: np.dtype[Any]) -> float:
    """The value of white in a pixel type: 1 in floating point, else the largest integer."""
    return 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)


def floating(pixels: NDArray[Any]) -> Image:
    """Pixels of any type as float32, white at 1; floating-point values stay the same."""
    return pixels.astype(np.float32) / np.float32(full_scale(pixels.dtype))


def quantise(image: Image) -> Pixels:
    """The image as a camera would store it: clipped to [0, 1], rounded to 8 bits."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def to_linear(image: Image) -> Image:
    """Converts sRGB values to linear light (IEC 61966-2-1)."""
    curve = _power((image + 0.055) / 1.055, 2.4)
    return np.where(image <= 0.04045, image / 12.92, curve)


def to_srgb(image: Image) -> Image:
    """Converts linear light, clipped to [0, 1], to sRGB values (IEC 61966-2-1)."""
    image = np.clip(image, 0, 1)
    curve = 1.055 * _power(image, 1 / 2.4) - 0.055
    return np.where(image <= 0.0031308, image * 12.92, curve)


def _power(image: Image, exponent: float) -> Image:
    # Imported here because a list of metrics, which needs the types above, should appear at once.
    import cv2

    # Several times as fast as NumPy's power on CPUs for which NumPy has no vector code.
    return np.asarray(cv2.pow(image, exponent), np.float32).reshape(image.shape)
