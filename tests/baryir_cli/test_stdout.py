"""What is written to a stream that is gone leads nowhere."""

from __future__ import annotations

import os

from baryir_cli.shell.stdout import discard


def free_descriptor() -> int:
    """The number that the next file to be opened gets."""
    number = os.open(os.devnull, os.O_RDONLY)
    os.close(number)
    return number


def test_discarding_leaves_no_descriptor_open() -> None:
    reader, writer = os.pipe()
    before = free_descriptor()
    discard(writer)
    assert free_descriptor() == before
    os.write(writer, b"lost")
    os.close(writer)
    assert os.read(reader, 9) == b""
    os.close(reader)


def test_a_closed_descriptor_leads_nowhere_too() -> None:
    closed = free_descriptor()
    discard(closed)
    os.write(closed, b"lost")
    os.close(closed)
