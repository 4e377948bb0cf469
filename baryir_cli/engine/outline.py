"""Finds photographs of a convex outline on a flat ground: slanted scans, round pictures, pages.

The network sees nothing of the ground, for the reason given in :mod:`baryir_cli.engine.frame`.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from baryir_cli.engine.frame import LEAST, MOST, PICTURE, Inside, are_common, some_of
from baryir_cli.engine.pixels import Pixels
from models.light import full_scale

Mask = NDArray[np.bool_]
"""``(H, W)``"""

CONCAVE, RAGGED = 0.03, 2
"""What a photograph may lack of its convex hull: this share, and so many pixels along its edge,
which JPEG frays. Skylines and persons lack more."""
RIM, ABRUPT = 4, 0.75
"""So many pixels inside its edge, this share of a photograph must differ from the ground."""


def ground(pixels: Pixels) -> Mask | None:
    """What lies around the photographs in ``(H, W, 3)``; None if that is nothing.

    A ground is even and lies in all four corners, and all of its large parts are photographs.
    """
    corners = pixels[:: max(1, len(pixels) - 1), :: max(1, pixels.shape[1] - 1)].reshape(-1, 3)
    colour = np.median(corners, axis=0)
    if np.abs(corners - colour).max() > _most(pixels):
        return None
    reached = _reached(pixels, colour)
    around = np.ones_like(reached)
    for box, part in _large_parts(~reached):
        if not _is_photograph(pixels[box], part, colour):
            return None
        around[box] &= ~part
    return around if around.any() and not around.all() else None


def _most(pixels: Pixels) -> float:
    """How far a ground may vary."""
    return MOST * full_scale(pixels.dtype) / 255


def _reached(pixels: Pixels, colour: NDArray[np.float64]) -> Mask:
    """What is of this colour and connected with the corners, but not by single pixels."""
    most = _most(pixels)
    near = cv2.inRange(pixels, colour - most, colour + most)
    mark, (height, width) = 128, near.shape
    for corner in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):
        cv2.floodFill(near, None, corner, mark)
    reached = (near == mark).astype(np.uint8)
    return cv2.morphologyEx(reached, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0


def _large_parts(others: Mask) -> Iterator[tuple[Inside, Mask]]:
    """The connected parts large enough for photographs, with their holes, and their boxes."""
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(others.astype(np.uint8))
    for label in range(1, count):
        left, top, width, height = boxes[label, : cv2.CC_STAT_AREA]
        if min(width, height) >= LEAST:
            # One pixel more shows the edge.
            box = (
                slice(max(0, top - 1), top + height + 1),
                slice(max(0, left - 1), left + width + 1),
            )
            yield box, _filled(labels[box] == label)


def _filled(part: Mask) -> Mask:
    outside = np.pad(~part, 1, constant_values=True).astype(np.uint8)
    cv2.floodFill(outside, None, (0, 0), 2)
    return outside[1:-1, 1:-1] != 2


def _is_photograph(pixels: Pixels, part: Mask, colour: NDArray[np.float64]) -> bool:
    """Whether a part is convex, differs from a colour at its edge, and has little of it."""
    filled = part.astype(np.uint8)
    (outline,), _ = cv2.findContours(filled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull = cv2.convexHull(outline)
    whole = int(cv2.fillConvexPoly(np.zeros_like(filled), hull, 1).sum())
    if whole - filled.sum() > CONCAVE * whole + RAGGED * cv2.arcLength(hull, closed=True):
        return False
    rim = _shrunk(part, RIM)
    rim ^= _shrunk(rim, 1)
    off = np.abs(pixels[rim] - colour).max(1) * 255 / full_scale(pixels.dtype)
    is_abrupt = len(off) > 0 and bool(np.quantile(off, 1 - ABRUPT) >= PICTURE)
    some = some_of(part)
    return is_abrupt and not are_common([colour], pixels[some][part[some]])


def _shrunk(part: Mask, pixels: int) -> Mask:
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return cv2.erode(part.astype(np.uint8), kernel) > 0
