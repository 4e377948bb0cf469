"""The picture of ``--compare``: a photograph before and after, side by side."""

from __future__ import annotations

import math

import numpy as np

from baryir_cli.images import Photo, encode_photo, read_photo
from baryir_cli.images.colour import eight_bits, on_white
from models.formats import WIDEST_JPEG


def side_by_side(photo: Photo, output: bytes) -> bytes:
    """A photograph left, its encoded output right, on white, as a JPEG.

    Shrunk if a JPEG could not hold it.
    """
    # Imported here because only --compare needs it.
    import cv2

    # Decoded again, to show what the format has changed.
    saved = read_photo(output, max_megapixels=math.inf)
    left, right = _on_paper(photo), _on_paper(saved)
    gap = np.full((left.shape[0], 8, 3), 255, np.uint8)
    both = np.concatenate([left, gap, right], 1)
    if (share := WIDEST_JPEG / max(both.shape[:2])) < 1:
        size = [max(1, int(side * share)) for side in both.shape[1::-1]]
        both = np.asarray(cv2.resize(both, size, interpolation=cv2.INTER_AREA))
    # CMYK was converted to sRGB, which its profile does not describe.
    layout, icc = ("rgb", None) if photo.layout == "cmyk" else (photo.layout, photo.icc)
    return encode_photo(Photo(both, None, "jpeg", layout, icc=icc), "jpeg", 92)


def _on_paper(photo: Photo) -> np.ndarray:
    """``(H, W, 3)`` uint8 on white, as a JPEG holds it."""
    pixels = photo.pixels if photo.alpha is None else on_white(photo.pixels, photo.alpha)
    return pixels if pixels.dtype == np.uint8 else eight_bits(pixels)
