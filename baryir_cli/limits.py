"""Limits of what users can ask for, and limits that hold unless they raise them."""

from __future__ import annotations

import math
import operator
import re
from typing import Any, Literal

from baryir_cli.errors import ArgumentError
from models.wording import choices, numbers

Precision = Literal["auto", "fp32", "bf16", "fp16"]
"""Arithmetic of the network."""

MAX_MEGAPIXELS = 512
"""Larger images are not decoded."""
MIN_TILE = 32
"""Side of the smallest tile, in pixels."""


def checked_strength(strength: Any) -> float:
    """A share of the correction, as a float.

    Raises:
        ArgumentError: names the argument.
    """
    share = _number(strength)
    if not 0 <= share <= 1:
        raise ArgumentError("strength", strength, f"use {numbers(0, 1)}")
    return share


def checked_quality(quality: Any) -> int | None:
    """A quality of 1 to 100, or None.

    Raises:
        ArgumentError: names the argument.
    """
    if quality is None:
        return None
    whole = _whole(quality)
    if whole is None or not 1 <= whole <= 100:
        raise ArgumentError("quality", quality, f"use {numbers(1, 100, whole=True)}")
    return whole


def check_megapixels(most: float) -> None:
    """Refuses a limit that no image could meet.

    Raises:
        ArgumentError: names the argument.
    """
    if not _number(most) > 0:  # nor is NaN
        raise ArgumentError("max_megapixels", most, f"use {numbers(above=0)}")


def check_device(name: str) -> None:
    """Refuses what is no device's name; without PyTorch, whose import takes seconds.

    Raises:
        ArgumentError: names the argument.
    """
    if name not in ("auto", "cpu", "mps") and not re.fullmatch(r"cuda(:(0|[1-9][0-9]*))?", name):
        known = choices(["auto", "cpu", "cuda", "cuda:N", "mps"])
        raise ArgumentError("device", name, f"use {known}")


def check_tiles(tile: int | None, overlap: int | None) -> None:
    """Refuses tiles that are too small or overlap too much.

    Raises:
        ArgumentError: names the argument.
    """
    if tile is not None and (_whole(tile) is None or (tile != 0 and tile < MIN_TILE)):
        sides = numbers(MIN_TILE, whole=True)
        raise ArgumentError("tile", tile, f"use 0 for the whole image, or {sides}")
    if tile == 0 and overlap is not None and _whole(overlap) != 0:
        raise ArgumentError("overlap", overlap, "one tile, the whole image, has nothing to overlap")
    most = tile // 2 if tile else None
    shared = 0 if overlap is None else _whole(overlap)
    if shared is None or shared < 0 or (most is not None and shared > most):
        half = f", half of tile {tile}" if tile else ""
        raise ArgumentError("overlap", overlap, f"use {numbers(0, most, whole=True)}{half}")


def _number(value: Any) -> float:
    """The value as a float, for example of a torch tensor; NaN for text and other objects."""
    try:
        return math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return math.nan


def _whole(value: Any) -> int | None:
    """The value as an int, None for anything but a whole number."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None
