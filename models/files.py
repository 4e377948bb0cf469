"""Writes files that are complete or absent, with errors that name them."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def named_errors(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Makes the system's errors name ``path``: some, as for a full disk, name no file.

    Args:
        temporary: the name under which ``path`` is written, if it is another.
    """
    try:
        yield
    except OSError as error:
        if error.errno and str(error.filename) in (str(None), str(temporary)):
            error.filename = str(path)
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path``, which replaces it at the end of the block.

    A crash leaves ``path`` as it was, or complete. An exception, including Ctrl-C, leaves nothing
    behind. The file gets the permissions that ``open`` would give it: those of the file that it
    replaces, or the umask's. The system's errors name ``path``.
    """
    # Not by the tempfile module: only their owner can read its files.
    temporary = path.parent / f".baryir-{secrets.token_hex(8)}.tmp"
    try:
        with named_errors(path, temporary):
            temporary.touch(exist_ok=False)
            mode = stat.S_IMODE((path if path.exists() else temporary).stat().st_mode)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            # The writer may have replaced the temporary file, as safetensors does.
            os.chmod(temporary, mode)
            os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
