"""Pixel values as they are stored, and parameters as they are drawn."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models.light import Image

T = TypeVar("T")


def quantise(image: Image) -> NDArray[np.uint8]:
    """What a camera would have stored: clipped to [0, 1], rounded to 8 bits."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def given_or(given: T | None, drawn: T) -> T:
    """What was asked for, else what was drawn.

    The draw comes first either way, so that one given parameter changes no other.
    """
    return drawn if given is None else given
