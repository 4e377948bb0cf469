"""Bands of rows, so that large images are worked on without a second copy in a wider type."""

from __future__ import annotations

from collections.abc import Iterator

PIXELS = 1 << 18
"""Of one band, about."""


def bands(height: int, width: int, multiple: int = 1) -> Iterator[slice]:
    """Slices of rows that cover ``height``, each of about :data:`PIXELS` however wide the image.

    Args:
        multiple: each begins at a multiple of it, and has at least as many rows, but for the last.
    """
    step = max(1, PIXELS // max(width, 1) // multiple) * multiple
    for start in range(0, height, step):
        yield slice(start, min(start + step, height))
