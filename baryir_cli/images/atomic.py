"""Files that are whole or absent."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from baryir_cli.images.photo import ImageError


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a crash leaves the file as it was, or whole.

    Makes missing parent folders. The file gets the permissions that `open` would give it (those
    of the file it takes the place of, or the umask's); a symbolic link is written through, and so
    is what is no file, as /dev/null. Raises ImageError with the system's reason; nothing is left
    behind then, nor after Ctrl-C.
    """
    target = Path(os.path.realpath(path)) if os.path.islink(path) else path
    temporary = target.parent / f".baryir-{secrets.token_hex(8)}.tmp"
    try:
        # By this name: of /dev/stdout, a link to a pipe, the target has none of its own.
        if os.path.exists(path) and not os.path.isfile(path):
            path.write_bytes(data)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_through(temporary, data)
            if target.exists():
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ImageError(f"cannot be written: {error.strerror or error}") from error


def _write_through(path: Path, data: bytes) -> None:
    """A new file that has reached the disk when this returns."""
    # Not the tempfile module: its files are readable by their owner alone.
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
