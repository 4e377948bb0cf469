"""Files that are either complete or absent."""

from __future__ import annotations

import errno
import os
import tempfile
from mmap import mmap
from pathlib import Path

from baryir_cli.errors import UserError
from models.files import replacing

ANYBODY_WRITES = 0o222
"""The write bits of a file's permissions."""


class NameTooLongError(UserError):
    """The file system cannot hold this name."""


class DiskFullError(UserError):
    """No space, or no quota, is left for the file."""


class ExistsError(UserError):
    """The file has appeared, and may not be replaced."""


_PROBLEMS: dict[int, tuple[type[UserError], str]] = {
    errno.ENAMETOOLONG: (NameTooLongError, ""),
    errno.ENOSPC: (DiskFullError, ""),
    errno.EDQUOT: (DiskFullError, ""),
    errno.EISDIR: (UserError, "; move that folder, or choose another name"),
    errno.EFBIG: (UserError, "; the file system, or ulimit -f, allows no larger file"),
}


def is_protected(path: Path) -> bool:
    """Whether ``path`` is a file that must not be written; its folder's permissions do not matter.

    Root may write a read-only file, but would not want to.
    """
    if not os.path.isfile(path):
        return False
    return not os.access(path, os.W_OK) or not path.stat().st_mode & ANYBODY_WRITES


def make_folder(folder: Path) -> None:
    """Makes a folder and its parents, and checks that files can be made in it.

    Raises:
        UserError: with the system's reason.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot create {folder}: {_unusable(error)}") from None
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{folder} cannot be written to: {_unusable(error)}") from None


def _unusable(error: OSError) -> str:
    return f"{error.strerror or error}; choose another folder"


def write_atomically(path: Path, data: bytes | mmap, *, overwrite: bool = True) -> None:
    """Writes ``data`` to ``path``; after a crash the file is complete or as it was.

    Its folder must be there. Symbolic links are written through, and so are non-files such as
    /dev/null. Raises UserError for a write-protected file, or with the system's reason
    (NameTooLongError for a long name), and ExistsError for a file that exists without
    ``overwrite``. Nothing is left behind then, nor after Ctrl-C.
    """
    if is_protected(path):
        raise UserError("cannot be written: it is write-protected")
    target = Path(os.path.realpath(path)) if os.path.islink(path) else path
    try:
        # By this name: /dev/stdout may link to a pipe, which has no name of its own.
        if os.path.exists(path) and not os.path.isfile(path):
            path.write_bytes(data)
            return
        with replacing(target, overwrite=overwrite) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        if isinstance(error, FileExistsError) and target.is_file():
            raise ExistsError("exists now and was kept; ask to overwrite it, or move it") from None
        raise not_written(error) from error


def not_written(error: OSError) -> UserError:
    """What the system says about writing a file, of the fitting kind."""
    kind, way = _PROBLEMS.get(error.errno or 0, (UserError, ""))
    return kind(f"cannot be written: {error.strerror or error}{way}")
