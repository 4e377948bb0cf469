"""Standard output, whose errors say that they are its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from mmap import mmap
from typing import Any, TextIO, cast

from baryir_cli.errors import UserError


class StandardOutputError(UserError):
    """Nothing more can be written: a disk is full, or the reader is gone."""


@contextmanager
def named() -> Iterator[None]:
    """Failures to write text in the block become :class:`StandardOutputError`.

    BrokenPipeError stays, as Click ends silently then.
    """
    if sys.stdout is None:  # it may be closed
        yield
        return
    stream = sys.stdout
    try:
        with redirect_stdout(cast(TextIO, _Named(stream))):
            yield
    finally:
        try:
            stream.flush()
        except OSError:
            # Python would complain of what is still buffered when it ends.
            discard(stream.fileno())


def write_bytes(data: bytes | mmap) -> None:
    """Writes all of it at once."""
    left = memoryview(data)
    try:
        while left:  # unbuffered (PYTHONUNBUFFERED), write takes what fits and says how much it was
            left = left[sys.stdout.buffer.write(left) :]
        sys.stdout.buffer.flush()
    except OSError as error:
        raise failed(error) from None


def discard(descriptor: int) -> None:
    """Lets whatever is still written to a file descriptor lead nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != descriptor:  # they are the same if it was closed
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def failed(error: OSError) -> StandardOutputError:
    """The error to raise instead."""
    return StandardOutputError(f"standard output: {error.strerror or error}")


class _Named:
    """A stream whose errors say which one it is."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._reported():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._reported():
            self._stream.flush()

    @staticmethod
    @contextmanager
    def _reported() -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise failed(error) from None
