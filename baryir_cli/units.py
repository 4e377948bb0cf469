"""Numbers with their unit, for people."""

from __future__ import annotations

import math


def megapixels(pixels: float) -> str:
    """Formats a positive number of pixels in megapixels, with two digits or more.

    >>> megapixels(12_345_678), megapixels(768)
    ('12.35 MP', '0.00077 MP')
    """
    number = pixels / 1e6
    decimals = max(2, 1 - math.floor(math.log10(number)))
    return f"{number:,.{decimals}f} MP"
