"""The photographs in an image, and what a network sees of them: neither frames nor ground.

Where a frame or ground passes softly into a photograph, the pixels are of both. They too would look
like a frame, so the network sees the photograph mirrored there, and its change is applied in part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from baryir_cli.bands import bands
from baryir_cli.engine.continuation import continued
from baryir_cli.engine.frame import SOFT, Colour, Window, inside, off_colour, some_of
from baryir_cli.engine.outline import (
    DEEP,
    RAGGED,
    Depths,
    Outline,
    contour,
    from_edge,
    ground_of,
    outlines,
    shifted,
)
from baryir_cli.engine.pixels import Mask, Pixels
from models.light import full_scale

SHOWN = 4
"""Lines of a frame to look at; in those next to the photograph, its edge may begin."""
REACHED = 0.75
"""Share of a photograph's difference from its ground up to which an edge is soft."""
PAGE = 3
"""Prints take at least one part in so many of their image; things often less. So does a ground."""
NIGHT = 32
"""8-bit steps below which a ground may be the dark of a photograph."""
RECTANGLE = 0.98
"""Share of the least rectangle around it that a print covers at least."""
VARIED = 0.25
"""Least deviation of a print's pixels, relative to their mean. Of dark photographs, 97 in 100 have
more; of what is pale or of one colour, little has."""


@dataclass(frozen=True)
class Region:
    """A photograph in its image."""

    window: Window
    """Where it lies."""
    pixels: Pixels
    """What the network sees in that window."""
    covered: NDArray[np.uint8] | None = None
    """Which pixels of that window are of it, as bits ``(H, ceil(W / 8))``; None if all are."""
    ground: Colour | None = None
    """What is around it there."""
    soft: int = 0
    """Pixels inside its outline that are of the ground as well."""
    keep_tones: bool = False
    """Whether it may be no photograph but a thing, which is as dark or pale as it should be."""

    @property
    def held(self) -> int:
        """Bytes that it takes besides its image."""
        return 0 if self.covered is None else self.pixels.nbytes + self.covered.nbytes

    def put_into(self, whole: Pixels, restored: Pixels) -> None:
        """Puts the restored photograph into its image, which is otherwise as it was."""
        place = whole[self.window]
        if self.covered is None or self.ground is None:
            place[:] = restored
            return
        part = np.unpackbits(self.covered, axis=1, count=place.shape[1])
        depths = from_edge(part.view(bool))
        for rows in bands(*depths.shape):
            clear = depths[rows] > self.soft
            np.copyto(place[rows], restored[rows], where=clear[..., None])
            mixed = (depths[rows] > 0) & ~clear
            place[rows][mixed] = _blended(
                place[rows][mixed], self.pixels[rows][mixed], restored[rows][mixed], self.ground
            )


def regions(pixels: Pixels) -> list[Region]:
    """The photographs in an image ``(H, W, 3)``, of which there is at least one."""
    window: Window = slice(0, pixels.shape[0]), slice(0, pixels.shape[1])
    whole = Region(window, pixels, keep_tones=_is_on_plain_ground(pixels))
    inner = inside(pixels)
    if inner != window:
        is_small = PAGE * pixels[inner].size < pixels.size
        whole = _region(pixels, _framed(pixels, inner), keep_tones=is_small)
        # A soft edge is better found together with all of its frame.
        window = window if whole.soft else inner
    inside_it = outlines(pixels[window])
    found = [replace(each, window=shifted(each.window, window)) for each in inside_it]
    are_small = PAGE * sum(int(each.part.sum()) for each in found) < pixels[..., 0].size
    return [
        _region(pixels, each, keep_tones=are_small or _may_be_a_thing(pixels, each))
        for each in found
    ] or [whole]


def _blended(before: Pixels, seen: Pixels, restored: Pixels, ground: Colour) -> Pixels:
    """Pixels ``(N, 3)`` at a soft edge, changed by as much as they are of the photograph."""
    towards = seen - ground
    squares = np.square(towards).sum(-1)
    along = ((before - ground) * towards).sum(-1)
    share = np.clip(along / np.maximum(squares, np.finfo(float).tiny), 0, 1)[:, None]
    change = restored.astype(float) - seen
    blended = (before + share * change).clip(0, full_scale(before.dtype))
    return (blended if before.dtype.kind == "f" else blended.round()).astype(before.dtype)


def _is_on_plain_ground(pixels: Pixels) -> bool:
    """Whether much of an image has exactly one colour that is not dark, and so have its corners.

    Its tones are then those of a product on its ground, a screenshot or a chart. Fog is never so
    even. Black is left out: in darkness, photographs are black too.
    """
    ground = ground_of(pixels)
    if ground is None or ground.max() < NIGHT * full_scale(pixels.dtype) / 255:
        return False
    return bool((off_colour(pixels[some_of(pixels)], ground) < 0.5).mean() >= 1 / PAGE)


def _framed(pixels: Pixels, window: Window) -> Outline:
    """The outline of what is inside a frame, in a window that shows some lines of the frame."""
    rows, columns = (
        slice(max(0, span.start - SHOWN), min(span.stop + SHOWN, side))
        for span, side in zip(window, pixels.shape[:2], strict=True)
    )
    seen = pixels[rows, columns]
    part = np.zeros(seen.shape[:2], bool)
    part[
        window[0].start - rows.start : window[0].stop - rows.start,
        window[1].start - columns.start : window[1].stop - columns.start,
    ] = True
    # The lines that are furthest from the photograph.
    depths = from_edge(~part)
    return Outline((rows, columns), part, np.median(seen[depths == depths.max()], axis=0))


def _region(pixels: Pixels, outline: Outline, *, keep_tones: bool) -> Region:
    seen, depths = pixels[outline.window], from_edge(outline.part)
    soft = _softness(seen, depths, outline.ground)
    hidden = depths <= soft
    tight = _tight(outline.part)
    if soft == 0 and outline.part[tight].all():
        window = shifted(tight, outline.window)
        return Region(window, pixels[window], keep_tones=keep_tones)
    covered = np.packbits(outline.part, axis=1)
    shown = continued(seen, hidden)
    return Region(outline.window, shown, covered, outline.ground, soft, keep_tones)


def _may_be_a_thing(pixels: Pixels, outline: Outline) -> bool:
    """Whether what is on a ground may be no print: it is no rectangle, or varies little."""
    part = outline.part
    edge = contour(part)
    _, sides, _ = cv2.minAreaRect(edge)
    frayed = RAGGED * cv2.arcLength(edge, closed=True)
    if cv2.contourArea(edge) + frayed < RECTANGLE * sides[0] * sides[1]:
        return True
    some = some_of(part)
    brightness = pixels[outline.window][some][part[some]].mean(-1, dtype=float)
    return bool(brightness.std() < VARIED * brightness.mean())


def _tight(part: Mask) -> Window:
    """The least window that has all of a part."""
    rows, columns = (part.any(axis).nonzero()[0].tolist() for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _softness(pixels: Pixels, depths: Depths, ground: Colour) -> int:
    """Over how many pixels a ground passes into a photograph, at most :data:`SOFT`."""
    near = (depths > 0) & (depths < DEEP)
    lines, off = depths[near], off_colour(pixels[near], ground)
    medians = [
        float(np.median(off[lines == number])) if (lines == number).any() else 0.0
        for number in range(1, SOFT + 3)
    ]
    enough = REACHED * max(medians[SOFT:])
    reached = next((n for n, median in enumerate(medians[:SOFT]) if median >= enough), SOFT)
    # Most of the edge is now behind, but it takes as long again until it ends.
    return min(2 * reached, SOFT)
