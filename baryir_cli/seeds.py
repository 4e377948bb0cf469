"""Seeds by name: an image gets the same random numbers in any company."""

from __future__ import annotations

import unicodedata
import zlib


def seed_of(name: str) -> int:
    """A number from 0 to 2**32 - 1, the same on every system."""
    # macOS decomposes names. File names need not be Unicode; Python uses surrogates for that.
    plain = unicodedata.normalize("NFC", name)
    return zlib.crc32(plain.encode(errors="surrogatepass"))
