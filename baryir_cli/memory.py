"""Controls what the process keeps of freed memory (glibc only; does nothing elsewhere)."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

LARGE = 64 << 20
"""Bytes of an image's pixels from which on freed memory is returned between the steps."""
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> None:
    """Makes glibc keep the memory that the network frees between layers.

    Otherwise every layer's buffers are mapped, zeroed and unmapped anew, which costs a tenth to a
    third of the time on a CPU. Only for our own process, not for a library.
    """
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 32 << 20)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 64 << 20)


def return_freed_memory(image: int = LARGE) -> None:
    """Returns kept memory, between the steps of an image of so many bytes, if that is large."""
    trim = _glibc("malloc_trim") if image >= LARGE else None
    if trim is not None:
        trim(0)


def _glibc(name: str) -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
    return function
