"""Finds the flat frame around a photograph: a mount, the border of a print or film, black bars.

A network takes what is flat for a sign that a photograph is clean, and a judge of haze or darkness
takes black or white for a part of the scene. So they see only what is inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baryir_cli.engine.pixels import Pixels
from models.light import full_scale

Window = tuple[slice, slice]
"""Rows and columns of an image."""
Colour = NDArray[np.float64]
"""``(3,)``, in the image's value range."""

PICTURE = 24
"""8-bit steps by which at least half of a picture's first line differs from its frame."""
SOFT = 8
"""The most lines in which a frame passes into its picture: a block of a JPEG."""
SPREAD, MOST = 1 / 12, 6
"""How far a frame may vary, relative to its difference from the picture, and in 8-bit steps, but by
one step at least. The unlit part of a dark photograph varies more, and so do noisy skies."""
RINGING = 1 / 3
"""The same for the lines in which a frame passes into its picture."""
CLEAN = 0.98
"""Share of a line that must not vary more, for dust."""
BLANK = 0.5
"""Least share of a frame's lines that do not vary; on others, there may be writing."""
WIDEST = 3
"""A frame takes at most one part in so many on each side."""
POINTS = 2048
"""Points of a line to look at, about."""
LEAST = 32
"""The smallest side of a picture in a frame, in pixels, and the shortest line to be judged."""
NESTED = 3
"""The most frames around each other."""
COMMON, ALIKE = 0.25, 8
"""What has so large a share of pixels that differ from a frame by less than so many 8-bit steps is
no photograph in it, but a drawing or letters on paper, which the network knows by the paper."""


def inside(pixels: Pixels) -> Window:
    """What lies inside the flat frames of ``(H, W, 3)``; all of it if there are none."""
    rows, columns = slice(0, pixels.shape[0]), slice(0, pixels.shape[1])
    whole, colours = (rows, columns), list[Colour]()
    for _ in range(NESTED):
        before = rows, columns
        rows = _trimmed(pixels[:, columns], rows, colours)
        columns = _trimmed(pixels[rows].swapaxes(0, 1), columns, colours)
        if (rows, columns) == before:
            break
    picture = pixels[rows, columns]
    return whole if are_common(colours, picture[some_of(picture)]) else (rows, columns)


def some_of(picture: NDArray[Any]) -> Window:
    """Some hundred rows and columns of a picture, evenly distributed."""
    height, width = (slice(None, None, max(1, side // 256)) for side in picture.shape[:2])
    return height, width


def are_common(colours: Sequence[Colour], pixels: Pixels) -> bool:
    """Whether one of these colours is frequent among pixels ``(..., 3)``."""
    return any(float((off_colour(pixels, each) < ALIKE).mean()) > COMMON for each in colours)


def off_colour(pixels: Pixels, colour: Colour) -> NDArray[np.float64]:
    """How far pixels ``(..., 3)`` are from a colour, in 8-bit steps."""
    step = full_scale(pixels.dtype) / 255
    off: NDArray[np.float64] = np.abs(pixels - colour).max(-1) / step
    return off


def _trimmed(lines: Pixels, span: slice, colours: list[Colour]) -> slice:
    """The lines of ``span`` without the frame before and behind them, whose colour is added."""
    part = lines[span]
    first, last = _depth(part), _depth(part[::-1])
    if len(part) - first - last < LEAST:
        return span
    colours += [np.median(part[end], axis=0) for end, depth in ((0, first), (-1, last)) if depth]
    return slice(span.start + first, span.stop - last)


def _depth(lines: Pixels) -> int:
    """The number of lines, from the first on, that are frame."""
    lines = lines[: len(lines) // WIDEST, :: max(1, lines.shape[1] // POINTS)]
    if not len(lines) or lines.shape[1] < LEAST:
        return 0
    colour = np.median(lines[0], axis=0)
    spreads: list[float] = []
    flat = 0
    for number, line in enumerate(lines):
        middle, spread = np.quantile(off_colour(line, colour), [0.5, CLEAN])
        if middle >= PICTURE:
            return number if _is_frame(np.array(spreads), float(middle)) else 0
        if middle <= PICTURE * SPREAD:
            flat = number + 1
        elif number >= flat + SOFT:
            return 0
        spreads.append(float(spread))
    return 0


def _is_frame(spreads: NDArray[np.float64], difference: float) -> bool:
    """Whether the lines before a picture are its frame.

    Args:
        spreads: how far each varies, in 8-bit steps.
        difference: of the picture's first line from the frame.
    """
    clean = spreads <= max(1, min(SPREAD * difference, MOST))
    (places,) = clean.nonzero()
    if not len(places):
        return False
    last = int(places[-1])
    # The last two may be half picture.
    between = spreads[last + 1 : -2]
    is_abrupt = len(between) < SOFT and bool((between <= RINGING * difference).all())
    return is_abrupt and float(clean[: last + 1].mean()) >= BLANK
