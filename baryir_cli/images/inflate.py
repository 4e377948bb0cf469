"""Inflates data from untrusted files in bounded memory."""

from __future__ import annotations

import logging
import zlib

_log = logging.getLogger(__name__)

LARGEST_METADATA = 64 << 20
_BLOCK = 1 << 20


class Meter:
    """Counts the bytes of inflated data, piece by piece, without keeping them.

    Stops at the first byte beyond ``most``.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.length = 0
        self._inflate = zlib.decompressobj()

    def feed(self, piece: bytes) -> None:
        """Takes the next piece; raises ValueError if it is damaged."""
        while piece and self.length <= self.most and not self._inflate.eof:
            try:
                block = self._inflate.decompress(piece, min(_BLOCK, self.most + 1 - self.length))
            except zlib.error as error:
                raise ValueError("the pixels are damaged") from error
            self.length += len(block)
            piece = self._inflate.unconsumed_tail


def inflated(packed: bytes, what: str) -> bytes | None:
    """Inflated metadata; None if damaged, empty or too long, which is logged."""
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(packed, LARGEST_METADATA)
    except zlib.error:
        return None
    if inflate.unconsumed_tail and not inflate.eof:
        _log.warning("%s of more than %d MB is left out", what, LARGEST_METADATA >> 20)
    return data if data and inflate.eof else None
