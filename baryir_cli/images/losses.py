"""Tells what is lost of each file, mainly metadata, and collects it from the log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

OTHER_PICTURES = "the other pictures (a gain map, a depth map, a preview)"
VIDEO = "the video of a motion photo"
CREDENTIALS = "the content credentials (C2PA)"

_log = logging.getLogger(__name__)
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


def tell_what_is_left_out(kind: str, left_out: Mapping[str, bool]) -> None:
    """Logs what a file of this ``kind`` will lose: the keys whose values are true."""
    for what, there in left_out.items():
        if there:
            _log.warning("%s in the %s cannot be kept", what, kind)
