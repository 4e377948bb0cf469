"""Finds the flat frame around a photograph: a mount, the border of a print or film, black bars.

A network takes what is flat for a sign that a photograph is clean, and a judge of haze or darkness
takes black or white for a part of the scene. So they see only what is inside.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from baryir_cli.engine.pixels import Pixels
from models.light import full_scale

Inside = tuple[slice, slice]
"""The rows and columns that are no frame."""

PICTURE = 24
"""8-bit steps by which at least half of a picture's first line differs from its frame."""
SOFT = 8
"""The most lines in which a frame passes into its picture: a block of a JPEG."""
SPREAD = 1 / 12
"""How far a frame may vary, relative to its difference from the picture, but by one step at least.
The unlit part of a dark photograph varies more."""
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
"""The smallest side of a picture in a frame, in pixels."""
NESTED = 3
"""The most frames around each other."""


def inside(pixels: Pixels) -> Inside:
    """What lies inside the flat frames of ``(H, W, 3)``; all of it if there are none."""
    rows, columns = slice(0, pixels.shape[0]), slice(0, pixels.shape[1])
    for _ in range(NESTED):
        before = rows, columns
        rows = _trimmed(pixels[:, columns], rows)
        columns = _trimmed(pixels[rows].swapaxes(0, 1), columns)
        if (rows, columns) == before:
            break
    return rows, columns


def _trimmed(lines: Pixels, span: slice) -> slice:
    """The lines of ``span`` without the frame before and behind them."""
    part = lines[span]
    first, last = _depth(part), _depth(part[::-1])
    if len(part) - first - last < LEAST:
        return span
    return slice(span.start + first, span.stop - last)


def _depth(lines: Pixels) -> int:
    """The number of lines, from the first on, that are frame."""
    step = full_scale(lines.dtype) / 255
    lines = lines[: len(lines) // WIDEST, :: max(1, lines.shape[1] // POINTS)]
    if not len(lines):
        return 0
    colour = np.median(lines[0], axis=0)
    spreads: list[float] = []
    flat = 0
    for number, line in enumerate(lines):
        off = np.abs(line - colour).max(1) / step
        middle, spread = np.quantile(off, [0.5, CLEAN])
        if middle >= PICTURE:
            return number if _is_frame(np.array(spreads) / middle, 1 / middle) else 0
        if middle <= PICTURE * SPREAD:
            flat = number + 1
        elif number >= flat + SOFT:
            return 0
        spreads.append(float(spread))
    return 0


def _is_frame(spreads: NDArray[np.float64], step: float) -> bool:
    """Whether the lines before a picture are its frame.

    Args:
        spreads: how far each varies, relative to the picture's difference from the frame.
        step: one 8-bit step, relative to the same.
    """
    clean = spreads <= max(SPREAD, step)
    (places,) = clean.nonzero()
    if not len(places):
        return False
    last = int(places[-1])
    # The last two may be half picture.
    between = spreads[last + 1 : -2]
    is_abrupt = len(between) < SOFT and bool((between <= RINGING).all())
    return is_abrupt and float(clean[: last + 1].mean()) >= BLANK
