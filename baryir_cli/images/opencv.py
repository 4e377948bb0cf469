"""Decodes with OpenCV what Pillow would cut to 8 bits."""

from __future__ import annotations

from types import ModuleType
from typing import BinaryIO

import numpy as np


def decode(stream: BinaryIO) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour ``(H, W, 1 or 3)`` RGB and alpha ``(H, W)`` or None, as stored; ValueError if damaged.

    Decodes from memory, because ``cv2.imread`` fails on non-ASCII names on Windows.
    """
    # Imported here because few images need it.
    import cv2

    _silence(cv2)
    stream.seek(0)
    try:
        samples = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(f"OpenCV: {error.err or error}") from error
    if samples is None:
        raise ValueError("the pixels are damaged, cut off, or compressed in an unknown way")
    if samples.ndim == 2:
        return samples[..., None], None
    return samples[..., 2::-1], samples[..., 3] if samples.shape[2] == 4 else None


def _silence(cv2: ModuleType) -> None:
    """Stops OpenCV from printing what it also returns as an error."""
    # OpenCV 5 moved it.
    owner = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
    owner.setLogLevel(0)
