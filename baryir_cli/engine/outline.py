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

from baryir_cli.bands import bands
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
from baryir_cli.engine.pixels import Mask, Pixels
from models.light import full_scale

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
DEEP = SOFT + 3
"""Pixels from an edge from which on they are not counted."""
LONGEST = 65_000
"""Side of the largest image to search; OpenCV's floodFill counts with 16 bits."""
DUST = 3
"""Side of the squares in the corners whose median is a ground's colour."""
CORNERS = tuple(product((slice(None, DUST), slice(-DUST, None)), repeat=2))
"""These squares."""


Depths = NDArray[np.uint8]
"""``(H, W)`` distances from an edge in pixels, rounded up, at most :data:`DEEP`."""


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
    for number, (window, part) in enumerate(_large_parts(around), 1):
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


def from_edge(part: Mask) -> Depths:
    """Pixels from what is around a part; the ends of the array are no edge."""
    depths = np.empty(part.shape, np.uint8)
    for rows in bands(part.shape[0], part.shape[1], 64):
        top = max(0, rows.start - DEEP)
        near = part[top : rows.stop + DEEP].view(np.uint8)
        distance = cv2.distanceTransform(near, cv2.DIST_L2, cv2.DIST_MASK_5)
        deep = np.minimum(np.ceil(distance), DEEP)[rows.start - top :]
        depths[rows] = deep[: rows.stop - rows.start]
    return depths


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


def _large_parts(around: Mask) -> Iterator[tuple[Window, Mask]]:
    """The connected parts of what lies in ``around`` that are large enough for photographs.

    Yields:
        Their windows, and which pixels they cover, their holes too; of more than :data:`MANY`, the
        largest and one more.
    """
    numbers, windows = _numbered(around)
    for number, (left, top, width, height) in enumerate(windows, 1):
        # One pixel more shows the edge.
        rows = slice(max(0, top - 1), min(top + height + 1, around.shape[0]))
        columns = slice(max(0, left - 1), min(left + width + 1, around.shape[1]))
        yield (rows, columns), _filled(numbers[rows, columns] == number)


def _numbered(around: Mask) -> tuple[NDArray[np.uint8], list[list[int]]]:
    """What :func:`_large_parts` yields, as ``(H, W)`` numbers from 1, and each one's left, top,
    width and height."""
    if around.all():
        return np.zeros(around.shape, np.uint8), []
    count, labels, parts, _ = cv2.connectedComponentsWithStats((~around).view(np.uint8))
    sides = parts[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    (large,) = (sides.min(1) >= LEAST).nonzero()
    by_size = sides[large].prod(1).argsort(kind="stable")
    large = 1 + np.sort(large[by_size[-MANY - 1 :]])
    number_of = np.zeros(count, np.uint8)
    number_of[large] = range(1, len(large) + 1)
    numbers = np.empty(around.shape, np.uint8)
    for rows in bands(*around.shape):
        numbers[rows] = number_of[labels[rows]]
    return numbers, parts[large, : cv2.CC_STAT_AREA].tolist()


def _filled(part: Mask) -> Mask:
    outside = np.pad(~part, 1, constant_values=True).view(np.uint8)
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
    off = off_colour(colours[from_edge(part) == RIM], outline.ground)
    is_abrupt = len(off) > 0 and bool(np.quantile(off, 1 - ABRUPT) >= PICTURE)
    some = some_of(part)
    return is_abrupt and not are_common([outline.ground], colours[some][part[some]])


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
    padded = np.pad(around, SOFT, constant_values=True).view(np.uint8)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel) > 0
    for window, inner in _large_parts(closed[SOFT:-SOFT, SOFT:-SOFT]):
        found = Outline(shifted(window, outline.window), inner, colour)
        if 2 * inner.sum() > part.sum() and _is_photograph(pixels, found):
            return found
    return None


def _border(pixels: Pixels, depths: Depths) -> tuple[Colour, Mask] | None:
    """The colour of a border along a part's edge, and a line within it; None if there is none."""
    for number in range(2, SOFT + 1):
        line = depths == number
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
