"""Pictures of 1 bit, whose dots may stand for greys: those of a print, or of dithering."""

from __future__ import annotations

import numpy as np

from baryir_cli.images.colour import bands, grey_of

# Side of the blocks whose means are the tones.
_BLOCK = 8
# In a 1-bit picture, this share of blocks may be brighter or darker than before by more than
# _SHIFT. With the embedded network it is at most 0.5 % for text, even in rough scans, and for line
# art, but from 30 % for photographs shown as dots.
_SHIFT, _MOST_SHIFTED = 24, 0.01


def white_of(pixels: np.ndarray) -> np.ndarray:
    """``(H, W, 3)`` uint8 cut in the middle: ``(H, W)`` of booleans, true where it is white."""
    return grey_of(pixels) >= 128


def tones_of(grey: np.ndarray) -> np.ndarray:
    """The means of a uint8 ``(H, W)``'s blocks of about 8 x 8 pixels, int16."""
    # Imported here because few images need it.
    import cv2

    size = [-(-side // _BLOCK) for side in grey.shape[::-1]]
    means = cv2.resize(np.ascontiguousarray(grey), size, interpolation=cv2.INTER_AREA)
    return means.astype(np.int16)


def loses_tones(pixels: np.ndarray, tones: np.ndarray) -> bool:
    """Whether ``(H, W, 3)`` uint8 in 1 bit would lose ``tones`` that dots showed.

    This is so if the dots became greys, which the cut makes black or white.
    """
    cut = tones_of(white_of(pixels).astype(np.uint8) * 255)
    return float(np.mean(np.abs(cut - tones) > _SHIFT)) > _MOST_SHIFTED


def with_tones(pixels: np.ndarray, tones: np.ndarray) -> np.ndarray:
    """Grey ``(H, W, 3)`` uint8, brightened or darkened to these :func:`tones_of`, roughly."""
    import cv2

    height, width = pixels.shape[:2]
    # Blurred, because the blocks and the rows of a print's dots are rarely in step.
    lacking = cv2.GaussianBlur(tones - tones_of(grey_of(pixels)), (0, 0), 1.0)
    lacking = cv2.resize(lacking, (width, height), interpolation=cv2.INTER_LINEAR)
    result = np.empty_like(pixels)
    for rows in bands(height, width):
        result[rows] = (pixels[rows] + lacking[rows, :, None]).clip(0, 255)
    return result
