"""Keeps libtiff, which Pillow reads TIFFs with, from printing its errors."""

from __future__ import annotations

import ctypes
from functools import cache

from PIL import _imaging


@cache
def silence_libtiff() -> None:
    """Stops libtiff from printing what Pillow also raises, in the whole process.

    Pillow does that for libtiff's warnings. Where it includes libtiff, as on Windows, the errors
    stay. Safe to call from several threads.
    """
    try:
        # The library that Pillow itself is linked to, wherever that lies.
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)
    except (OSError, AttributeError):
        return
