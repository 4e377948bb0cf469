"""Numbers with their unit or noun, for people."""

from __future__ import annotations

import math


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural if needed."""
    return f"{number} {noun}{'s' * (number != 1)}"


def megapixels(pixels: float) -> str:
    """Formats a positive number of pixels in megapixels, with two digits or more.

    >>> megapixels(12_345_678), megapixels(768)
    ('12.35 MP', '0.00077 MP')
    """
    number = pixels / 1e6
    decimals = max(2, 1 - math.floor(math.log10(number)))
    return f"{number:,.{decimals}f} MP"
