"""Files that are whole or absent, and errors that name them."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Has the system's errors name ``path``: those of no file, as of a full disk, name none.

    Args:
        temporary: another name that ``path`` stands for, if it is written under one.
    """
    try:
        yield
    except OSError as error:
        if error.errno and str(error.filename) in (str(None), str(temporary)):
            error.filename = str(path)
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path``, which replaces it when all went well.

    A crash leaves ``path`` as it was, or whole; an exception, Ctrl-C too, leaves nothing behind.
    The file gets the permissions that ``open`` would give it: those of the file that it replaces,
    or the umask's. The system's errors name ``path``.
    """
    # Not the tempfile module: its files are readable by their owner alone.
    temporary = path.parent / f".baryir-{secrets.token_hex(8)}.tmp"
    try:
        with naming(path, temporary):
            temporary.touch(exist_ok=False)
            mode = stat.S_IMODE((path if path.exists() else temporary).stat().st_mode)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            # Whoever wrote it may have made another file of that name, as safetensors does.
            os.chmod(temporary, mode)
            os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
