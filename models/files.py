"""Files that are whole or absent."""

from __future__ import annotations

import os
import secrets
import stat
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
