"""JPEG compression."""

from __future__ import annotations

import cv2
import numpy as np

from models.formats import WIDEST_JPEG
from models.light import Image, floating, quantise
from train.degradations.draws import given_or
from train.degradations.errors import DegradationError

STORED = (50, 98)
"""Lowest and highest quality of photographs as people store and send them."""


def jpeg(image: Image, quality: int) -> Image:
    """Compressed and decoded again (libjpeg's baseline, chroma at half resolution).

    Args:
        quality: libjpeg's factor, 1 to 100; the literature's "QF 10" is 10.

    Raises:
        DegradationError: the image is larger than a JPEG can be.
    """
    height, width = image.shape[:2]
    if max(height, width) > WIDEST_JPEG:
        raise DegradationError(
            f"{width} x {height} is too large for a JPEG, at most {WIDEST_JPEG} a side"
        )
    stored = cv2.cvtColor(quantise(image), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return floating(decoded[..., ::-1])


def random_jpeg(image: Image, rng: np.random.Generator, *, quality: int | None = None) -> Image:
    """JPEG of quality 10 to 40."""
    return jpeg(image, given_or(quality, int(rng.integers(10, 41))))


def stored_quality(rng: np.random.Generator) -> int:
    """A random quality within :data:`STORED`."""
    return int(rng.integers(STORED[0], STORED[1] + 1))


def stored_jpeg(image: Image, rng: np.random.Generator) -> Image:
    """JPEG of a quality at which people store photographs."""
    return jpeg(image, stored_quality(rng))
