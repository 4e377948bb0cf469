"""Limits of what users can ask for, and limits that hold unless they raise them."""

from __future__ import annotations

import re
from typing import Literal

from baryir_cli.errors import ArgumentError
from models.wording import choices, numbers

Precision = Literal["auto", "fp32", "bf16", "fp16"]
"""Arithmetic of the network."""

MAX_MEGAPIXELS = 512
"""Larger images are not decoded."""
MIN_TILE = 32
"""Side of the smallest tile, in pixels."""


def check_megapixels(most: float) -> None:
    """Refuses a limit that no image could meet.

    Raises:
        ArgumentError: names the argument.
    """
    if not most > 0:  # nor is NaN
        raise ArgumentError("max_megapixels", most, f"use {numbers(above=0)}")


def check_device(name: str) -> None:
    """Refuses what is no device's name; without PyTorch, whose import takes seconds.

    Raises:
        ArgumentError: names the argument.
    """
    if name not in ("auto", "cpu", "mps") and not re.fullmatch(r"cuda(:[0-9]+)?", name):
        known = choices(["auto", "cpu", "cuda", "cuda:N", "mps"])
        raise ArgumentError("device", name, f"use {known}")


def check_tiles(tile: int | None, overlap: int | None) -> None:
    """Refuses tiles that are too small or overlap too much.

    Raises:
        ArgumentError: names the argument.
    """
    if tile is not None and tile != 0 and tile < MIN_TILE:
        sides = numbers(MIN_TILE, whole=True)
        raise ArgumentError("tile", tile, f"use 0 for the whole image, or {sides}")
    if tile == 0 and overlap:
        raise ArgumentError("overlap", overlap, "one tile, the whole image, has nothing to overlap")
    most = tile // 2 if tile else None
    if overlap is not None and (overlap < 0 or (most is not None and overlap > most)):
        half = f", half of tile {tile}" if tile else ""
        raise ArgumentError("overlap", overlap, f"use {numbers(0, most, whole=True)}{half}")
