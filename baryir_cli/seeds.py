"""Seeds by name: the same random numbers for an image, whatever others there are."""

from __future__ import annotations

import unicodedata
import zlib


def seed_of(name: str) -> int:
    """A number from 0 to 2**32 - 1, the same on every system."""
    # macOS decomposes names. Of files they need not be Unicode: Python has surrogates for that.
    plain = unicodedata.normalize("NFC", name)
    return zlib.crc32(plain.encode(errors="surrogatepass"))
