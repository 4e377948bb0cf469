"""Files that are whole or absent."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file's name beside ``path``, of which it takes the place when all went well.

    A crash leaves ``path`` as it was, or whole; an exception, Ctrl-C too, leaves nothing behind.
    The file gets the permissions that ``open`` would give it: those of the file it takes the place
    of, or the umask's.
    """
    # Not the tempfile module: its files are readable by their owner alone.
    temporary = path.parent / f".baryir-{secrets.token_hex(8)}.tmp"
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
