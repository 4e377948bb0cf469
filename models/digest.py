"""Hashes of files, read piece by piece."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from hashlib import _Hash

CHUNK = 1 << 20
"""Bytes to read at once."""


def hexdigest(file: BinaryIO, digest: _Hash | None = None) -> str:
    """The hash of the rest of a file: SHA-256, or ``digest``, which may have data already."""
    digest = hashlib.sha256() if digest is None else digest
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
