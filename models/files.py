"""Writes files that are complete or absent, with errors that name them."""

from __future__ import annotations

import errno
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
def replacing(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """A temporary file beside ``path``, which replaces it at the end of the block.

    Without ``overwrite``, FileExistsError is raised if ``path`` exists by then.

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
            (os.replace if overwrite else _rename_to_new)(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _rename_to_new(temporary: Path, path: Path) -> None:
    """Renames a file, or raises FileExistsError if the new name is taken."""
    try:
        # Unlike a rename, this never replaces a file that appears at the last moment.
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, such as vfat
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        os.rename(temporary, path)
    else:
        temporary.unlink()
