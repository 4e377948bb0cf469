"""Collects from the log what is lost of each file, mainly metadata."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_heard = threading.local()


class _Listener(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        lines, line = getattr(_heard, "lines", []), record.getMessage()
        if line not in lines:
            lines.append(line)


logging.getLogger(__name__.rpartition(".")[0]).addHandler(_Listener(logging.WARNING))


@contextmanager
def losses() -> Iterator[list[str]]:
    """Collects what this thread loses while reading and writing images, one line each."""
    lines: list[str] = []
    _heard.lines = lines
    try:
        yield lines
    finally:
        del _heard.lines
