"""Results that are whole or absent."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from baryir_cli.errors import UserError
from models.files import replacing

ANYBODY_WRITES = 0o222
"""Of a file's permissions those to write it."""


class NameTooLongError(UserError):
    """A name that the file system cannot hold."""


def is_protected(path: Path) -> bool:
    """Whether a file is there that must not be written; its folder's permission is none for it.

    What nobody may write root may, but would not want to either.
    """
    if not os.path.isfile(path):
        return False
    return not os.access(path, os.W_OK) or not path.stat().st_mode & ANYBODY_WRITES


def make_folder(folder: Path) -> None:
    """Makes a folder, with those above it, and tries whether files can be made in it.

    Raises:
        UserError: with the system's reason.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror or error}") from None
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{folder} cannot be written to: {error.strerror or error}") from None


def write_atomically(path: Path, data: bytes) -> None:
    """Writes ``data`` to ``path`` so that a crash leaves the file as it was, or whole.

    Makes missing parent folders. A symbolic link is written through, and so is what is no file, as
    /dev/null. Raises UserError for a write-protected file, and with the system's reason (for a name
    that is too long, its subclass); nothing is left behind then, nor after Ctrl-C.
    """
    if is_protected(path):
        raise UserError("cannot be written: it is write-protected")
    target = Path(os.path.realpath(path)) if os.path.islink(path) else path
    try:
        # By this name: of /dev/stdout, a link to a pipe, the target has none of its own.
        if os.path.exists(path) and not os.path.isfile(path):
            path.write_bytes(data)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        kind = NameTooLongError if error.errno == errno.ENAMETOOLONG else UserError
        raise kind(f"cannot be written: {error.strerror or error}") from error
