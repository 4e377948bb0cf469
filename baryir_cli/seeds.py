"""Seeds by name: an image gets the same random numbers in any company."""

from __future__ import annotations

import zlib

from baryir_cli.files.paths import composed


def seed_of(name: str) -> int:
    """A number from 0 to 2**32 - 1, the same on every system."""
    # File names need not be Unicode; Python uses surrogates for that.
    return zlib.crc32(composed(name).encode(errors="surrogatepass"))
