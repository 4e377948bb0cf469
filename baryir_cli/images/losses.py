"""What is lost of a file, metadata above all: heard from the log, file by file."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_heard = threading.local()


class _Listener(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        getattr(_heard, "lines", []).append(record.getMessage())


logging.getLogger(__name__.rpartition(".")[0]).addHandler(_Listener(logging.WARNING))


@contextmanager
def losses() -> Iterator[list[str]]:
    """What this thread's reading and writing of images loses meanwhile, a line each."""
    lines: list[str] = []
    _heard.lines = lines
    try:
        yield lines
    finally:
        del _heard.lines
