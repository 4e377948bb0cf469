"""Pixel values and the light they stand for."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
T = TypeVar("T")


def to_linear(image: Image) -> Image:
    """sRGB values to linear light (IEC 61966-2-1)."""
    curve = _power((image + 0.055) / 1.055, 2.4)
    return np.where(image <= 0.04045, image / 12.92, curve)


def to_srgb(image: Image) -> Image:
    """Linear light to sRGB values, clipped to [0, 1] (IEC 61966-2-1)."""
    image = np.clip(image, 0, 1)
    curve = 1.055 * _power(image, 1 / 2.4) - 0.055
    return np.where(image <= 0.0031308, image * 12.92, curve)


def quantise(image: Image) -> NDArray[np.uint8]:
    """What a camera would have stored: clipped to [0, 1], rounded to 8 bits."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def floating(pixels: NDArray[np.uint8]) -> Image:
    """8-bit values as they are degraded: in [0, 1]."""
    return pixels.astype(np.float32) / np.float32(255)


def given_or(given: T | None, drawn: T) -> T:
    """What was asked for, else what was drawn.

    The draw comes first either way, so that one given parameter changes no other.
    """
    return drawn if given is None else given


def _power(image: Image, exponent: float) -> Image:
    # Several times as fast as NumPy's where that has no vector code for it.
    return np.asarray(cv2.pow(image, exponent), np.float32).reshape(image.shape)
