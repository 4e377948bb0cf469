"""Pictures of two colours, whose dots may stand for tones: those of a print, or of dithering."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from baryir_cli.bands import bands

# Side of the blocks whose means are the tones.
_BLOCK = 8
# This share of blocks may be brighter or darker than before by more than _SHIFT. With the embedded
# network it is at most 0.5 % for text, even in rough scans, and for line art, but from 30 % for
# photographs shown as dots.
_SHIFT, _MOST_SHIFTED = 24, 0.01


def give_tones_back(restored: np.ndarray, pixels: np.ndarray) -> bool:
    """Gives a restored picture, in place, its tones back if it had two colours and lost them.

    It loses them if its dots were blended to others, or are now neither of the colours. A network
    takes white dots for noise that clipping hides in part, and darkens them.

    Returns:
        Whether it had lost them.
    """
    colours = two_colours(pixels)
    if colours is None:
        return False
    tones = tones_of(pixels)
    if loses_tones(restored, tones) or loses_tones(_nearest(restored, *colours), tones):
        _correct(restored, tones)
        return True
    return False


def two_colours(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The colours of ``(H, W, 3)`` of 8 bits; None if there is only one, or a third."""
    if pixels.dtype != np.uint8:
        return None
    first: np.ndarray = pixels[0, 0]
    second: np.ndarray | None = None
    for rows in bands(*pixels.shape[:2]):
        band = pixels[rows]
        others = band[(band != first).any(2)]
        if len(others):
            second = others[0] if second is None else second
            if (others != second).any():
                return None
    return None if second is None else (first, second)


def _nearest(pixels: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """``(H, W, 3)`` uint8 in the nearer of two colours."""
    ways = second.astype(np.int32) - first
    middle = (ways * (second.astype(np.int32) + first)).sum() / 2
    cut = np.empty_like(pixels)
    for rows in bands(*pixels.shape[:2]):
        cut[rows] = np.where((pixels[rows] @ ways >= middle)[..., None], second, first)
    return cut


def tones_of(pixels: np.ndarray) -> np.ndarray:
    """The means of blocks of about 8 x 8 pixels of uint8 ``(H, W)`` or ``(H, W, 3)``, int16."""
    # Imported here because few images need it.
    import cv2

    size = [-(-side // _BLOCK) for side in pixels.shape[1::-1]]
    means = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=cv2.INTER_AREA)
    return means.astype(np.int16)


def loses_tones(pixels: np.ndarray, tones: np.ndarray) -> bool:
    """Whether a picture has lost :func:`tones_of` the one that it was made from."""
    off = np.abs(tones_of(pixels) - tones)
    return float(np.mean((off if off.ndim == 2 else off.mean(2)) > _SHIFT)) > _MOST_SHIFTED


def cut_loses_tones(white: NDArray[np.bool_], tones: np.ndarray) -> bool:
    """Whether ``(H, W)`` in black and white has lost them, because dots became greys."""
    return loses_tones(np.uint8(255) * white, tones)


def _correct(pixels: np.ndarray, tones: np.ndarray) -> None:
    """Brightens or darkens ``(H, W, 3)`` uint8 to these tones ``(h, w, 3)``, roughly."""
    import cv2

    height, width = pixels.shape[:2]
    # Blurred, because the blocks and the rows of a print's dots are rarely in step.
    lacking = cv2.GaussianBlur(tones - tones_of(pixels), (0, 0), 1.0).reshape(tones.shape)
    for channel in range(3):
        plane = np.ascontiguousarray(lacking[..., channel])
        whole = cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)
        for rows in bands(height, width):
            pixels[rows, :, channel] = (pixels[rows, :, channel] + whole[rows]).clip(0, 255)
