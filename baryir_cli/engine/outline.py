"""Finds photographs of a convex outline on a flat ground: slanted scans, round pictures, pages.

The network sees nothing of the ground, for the reason given in :mod:`baryir_cli.engine.frame`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from baryir_cli.engine.frame import (
    LEAST,
    MOST,
    NESTED,
    PICTURE,
    SOFT,
    Colour,
    Window,
    are_common,
    off_colour,
    some_of,
)
from baryir_cli.engine.pixels import Pixels
from models.light import full_scale

Mask = NDArray[np.bool_]
"""``(H, W)``"""

CONCAVE, RAGGED = 0.05, 2
"""What a photograph may lack of its convex hull: this share, and so many pixels along its edge,
which JPEG frays. Skylines and persons lack more."""
RIM, ABRUPT = 6, 0.75
"""Of the line that is so many pixels inside its edge, this share must differ from the ground."""
WRITTEN = 0.1
"""What is no photograph, as large letters, may have so many pixels, relative to photographs."""
MANY = 32
"""More parts than this are icons or beads, no prints, and would take a search and a pass each."""
EVEN = 0.95
"""Share of a line inside a photograph's edge that has one colour if the line is on its border."""
LONGEST = 65_000
"""Side of the largest image to search; OpenCV's floodFill counts with 16 bits."""
DUST = 3
"""Side of the squares in the corners whose median is a ground's colour."""
CORNERS = tuple(product((slice(None, DUST), slice(-DUST, None)), repeat=2))
"""These squares."""


@dataclass(frozen=True)
class Outline:
    """Where a photograph lies, and what is around it."""

    window: Window
    part: Mask
    """Which pixels of the window it covers."""
    ground: Colour


def outlines(pixels: Pixels) -> list[Outline]:
    """The photographs in ``(H, W, 3)`` on a ground; none if all of it is one photograph.

    A ground is even and lies in all four corners. Where much else lies on it, what looks like
    photographs may be drawn, so none is taken for one.
    """
    ground = ground_of(pixels)
    if ground is None or max(pixels.shape) > LONGEST:
        return []
    start = np.zeros(pixels.shape[:2], bool)
    for corner in CORNERS:
        start[corner] = True
    around = _reached(pixels, ground, start)
    found, others = list[Outline](), 0
    for number, (window, part) in enumerate(_large_parts(~around), 1):
        if number > MANY:
            return []
        outline = Outline(window, part, ground)
        if _is_photograph(pixels, outline):
            found.append(_without_border(pixels, outline))
        else:
            others += int(part.sum())
    is_page = others <= WRITTEN * sum(int(outline.part.sum()) for outline in found)
    return found if is_page and around.any() else []


def ground_of(pixels: Pixels) -> Colour | None:
    """The colour of all four corners; None if they differ."""
    colours = [np.median(pixels[corner].reshape(-1, 3), axis=0) for corner in CORNERS]
    ground: Colour = np.median(colours, axis=0)
    return None if np.abs(np.array(colours) - ground).max() > _most(pixels) else ground


def from_edge(part: Mask) -> NDArray[np.float32]:
    """Distances in pixels from what is around a part; the ends of the array are no edge."""
    if part.all():
        return np.full(part.shape, np.inf, np.float32)
    distance = cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(distance, np.float32)


def contour(part: Mask) -> NDArray[np.int32]:
    """The edge of one connected part, as OpenCV's points ``(N, 1, 2)`` of x and y."""
    filled = part.astype(np.uint8)
    (edge,), _ = cv2.findContours(filled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return np.asarray(edge, np.int32)


def _most(pixels: Pixels) -> float:
    """How far a ground may vary, in the image's value range."""
    return MOST * full_scale(pixels.dtype) / 255


def _reached(pixels: Pixels, colour: Colour, start: Mask) -> Mask:
    """What is of this colour and connected with ``start``, but not by single pixels."""
    most = _most(pixels)
    near = cv2.inRange(pixels, colour - most, colour + most)
    near[start] = 255
    for row, column in zip(*(ends.tolist() for ends in start.nonzero()), strict=True):
        if near[row, column] == 255:
            cv2.floodFill(near, None, (column, row), 1)
    reached = (near == 1).view(np.uint8)
    return cv2.morphologyEx(reached, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0


def _large_parts(others: Mask) -> Iterator[tuple[Window, Mask]]:
    """The connected parts large enough for photographs, with their holes, and their windows."""
    if not others.any():
        return
    count, labels, windows, _ = cv2.connectedComponentsWithStats(others.astype(np.uint8))
    for label in range(1, count):
        left, top, width, height = windows[label, : cv2.CC_STAT_AREA].tolist()
        if min(width, height) >= LEAST:
            # One pixel more shows the edge.
            rows = slice(max(0, top - 1), min(top + height + 1, labels.shape[0]))
            columns = slice(max(0, left - 1), min(left + width + 1, labels.shape[1]))
            yield (rows, columns), _filled(labels[rows, columns] == label)


def _filled(part: Mask) -> Mask:
    outside = np.pad(~part, 1, constant_values=True).astype(np.uint8)
    cv2.floodFill(outside, None, (0, 0), 2)
    filled: Mask = outside[1:-1, 1:-1] != 2
    return filled


def _is_photograph(pixels: Pixels, outline: Outline) -> bool:
    """Whether a part is convex, differs from its ground at the edge, and has little of it."""
    part = outline.part
    hull = cv2.convexHull(contour(part))
    whole = int(cv2.fillConvexPoly(np.zeros(part.shape, np.uint8), hull, 1).sum())
    if whole - part.sum() > CONCAVE * whole + RAGGED * cv2.arcLength(hull, closed=True):
        return False
    colours = pixels[outline.window]
    off = off_colour(colours[_line(from_edge(part), RIM)], outline.ground)
    is_abrupt = len(off) > 0 and bool(np.quantile(off, 1 - ABRUPT) >= PICTURE)
    some = some_of(part)
    return is_abrupt and not are_common([outline.ground], colours[some][part[some]])


def _line(distance: NDArray[np.float32], number: int) -> Mask:
    """The pixels of a part whose distance from its edge is ``number``, rounded up."""
    return (distance > number - 1) & (distance <= number)


def _without_border(pixels: Pixels, outline: Outline) -> Outline:
    """A photograph without its own flat borders, as prints have them."""
    for _ in range(NESTED):
        inner = _without_one_border(pixels, outline)
        if inner is None:
            break
        outline = inner
    return outline


def _without_one_border(pixels: Pixels, outline: Outline) -> Outline | None:
    colours, part = pixels[outline.window], outline.part
    border = _border(colours, from_edge(part))
    if border is None:
        return None
    colour, line = border
    around = ~part | _reached(colours, colour, line)
    # What lies between, where one passes into the other, is no part of its own.
    kernel = np.ones((2 * SOFT + 1, 2 * SOFT + 1), np.uint8)
    padded = np.pad(around, SOFT, constant_values=True).astype(np.uint8)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel) > 0
    for window, inner in _large_parts(~closed[SOFT:-SOFT, SOFT:-SOFT]):
        found = Outline(shifted(window, outline.window), inner, colour)
        if 2 * inner.sum() > part.sum() and _is_photograph(pixels, found):
            return found
    return None


def _border(pixels: Pixels, distance: NDArray[np.float32]) -> tuple[Colour, Mask] | None:
    """The colour of a border along a part's edge, and a line within it; None if there is none."""
    for number in range(2, SOFT + 1):
        line = _line(distance, number)
        if not line.any():
            return None
        colour = np.median(pixels[line], axis=0)
        if (off_colour(pixels[line], colour) <= MOST).mean() >= EVEN:
            return colour, line
    return None


def shifted(window: Window, within: Window) -> Window:
    """A window in the image that a window within another one is."""
    rows, columns = (
        slice(outer.start + inner.start, outer.start + inner.stop)
        for inner, outer in zip(window, within, strict=True)
    )
    return rows, columns
