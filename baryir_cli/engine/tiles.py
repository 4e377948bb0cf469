"""Where tiles lie on an image and how they blend: only numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""Top, left, bottom, right in pixels of an image."""

OVERLAP = 32
"""The default number of pixels that neighbouring tiles share."""


@dataclass(frozen=True)
class Axis:
    """Tiles along one axis.

    Attributes:
        length: pixels of the image.
        tile: pixels of a tile; the last one is cut at the image's edge, but to no less than half.
        overlap: pixels that two neighbours share, below ``tile``; the last two may share more.
        grid: period of the network's resampling, in pixels.
    """

    length: int
    tile: int
    overlap: int
    grid: int = 1

    def __post_init__(self) -> None:
        if self.length < 1 or self.tile < 1 or not 0 <= self.overlap < self.tile:
            raise ValueError(f"no tiling of {self.length} by {self.tile} with {self.overlap}")

    @cached_property
    def starts(self) -> list[int]:
        """First pixel of every tile."""
        step = self.tile - self.overlap
        starts = list(range(0, max(self.length - self.overlap, 1), step))
        if len(starts) > 1:
            # In a thin tile a network sees too little. The tile moves by whole cells of the grid.
            lacking = max(0, starts[-1] + self.tile // 2 - self.length)
            cell = math.gcd(step, self.grid)
            starts[-1] -= min(-(-lacking // cell) * cell, step - cell)
        return starts

    @property
    def largest(self) -> int:
        """Pixels of the largest tile, which is cut if the image has less."""
        return min(self.tile, self.length)

    def span(self, index: int) -> slice:
        """The pixels of a tile."""
        start = self.starts[index]
        return slice(start, min(start + self.tile, self.length))

    def weights(self) -> list[NDArray[np.float32]]:
        """Blending weights of every tile over its span; they sum to 1 at every pixel.

        A tile's weight falls linearly over its overlap, because a network knows least at the
        border of its tile. The product of two axes' weights blends in two dimensions.
        """
        count = len(self.starts)
        total = np.zeros(self.length)
        raw = []
        for index in range(count):
            span = self.span(index)
            ramp = np.ones(span.stop - span.start)
            slope = (np.arange(min(self.overlap, len(ramp))) + 0.5) / max(self.overlap, 1)
            if index > 0:
                ramp[: len(slope)] = slope
            if index < count - 1:
                inner = slice(len(ramp) - len(slope), None)
                ramp[inner] = np.minimum(ramp[inner], slope[::-1])
            raw.append(ramp)
            total[span] += ramp
        return [(w / total[self.span(i)]).astype(np.float32) for i, w in enumerate(raw)]


def even_axis(length: int, largest: int, overlap: int, multiple: int) -> Axis:
    """The smallest tiles that are no more in number than tiles of ``largest``.

    Sides are multiples of ``multiple``, as ``overlap`` and ``largest`` should be. Then every tile
    starts on the grid that the network's resampling has in the whole image.
    """
    if length <= largest:
        return Axis(length, length, 0)
    count = len(Axis(length, largest, overlap, multiple).starts)
    tile = -(-(length + (count - 1) * overlap) // count)
    return Axis(length, min(-(-tile // multiple) * multiple, largest), overlap, multiple)


@dataclass(frozen=True)
class Tiling:
    """How to cut any image into tiles.

    Attributes:
        tile: side of a tile; 0 for the whole image, None for what fits.
        overlap: pixels that neighbours share; None for :data:`OVERLAP`, or less in small tiles.
            If ``tile`` is None, at most half a tile.
        multiple: period of the network's resampling, in pixels.
        margin: pixels that the network sees beyond the image.
    """

    tile: int | None
    overlap: int | None
    multiple: int
    margin: int

    def axes(self, height: int, width: int, largest_tile: Callable[[], int]) -> tuple[Axis, Axis]:
        """An image's tiles, vertically and horizontally.

        Args:
            largest_tile: gives the side of the largest square tile that fits into memory; only
                called if :attr:`tile` is None.
        """
        whole = Axis(height, height, 0), Axis(width, width, 0)
        if self.tile == 0:
            return whole
        if self.tile is not None:
            overlap = self._overlap(self.tile)
            return (
                Axis(height, self.tile, overlap, self.multiple),
                Axis(width, self.tile, overlap, self.multiple),
            )
        largest = largest_tile()
        if self._seen(height) * self._seen(width) <= self._seen(largest) ** 2:
            return whole
        overlap = min(self._overlap(largest), largest // 2)
        return (
            even_axis(height, largest, overlap, self.multiple),
            even_axis(width, largest, overlap, self.multiple),
        )

    def _seen(self, length: int) -> int:
        """What the network sees of ``length`` pixels along an axis, with margins and padding."""
        return -(-(length + 2 * self.margin) // self.multiple) * self.multiple

    def _overlap(self, tile: int) -> int:
        """The overlap asked for, or one that does not make small tiles compute everything twice."""
        if self.overlap is not None:
            return self.overlap
        multiple = self.multiple
        wanted = max(min(OVERLAP, tile // 6) // multiple * multiple, multiple)
        return wanted if wanted <= tile // 2 else 0
