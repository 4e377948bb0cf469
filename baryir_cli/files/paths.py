"""Paths: where outputs lead once missing folders exist, and which names are one file's."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

Identity = tuple[int, int] | str
"""What :func:`identity` returns."""


def settled(path: Path) -> Path:
    """The path without ``..`` after a folder that does not exist: ``new/../in`` is ``in``.

    The system finds nothing behind such a folder until it is made, so a check would see no file
    where writing then replaces one. ``..`` after anything else stays, as that may be a link.
    """
    kept = Path()
    for part in path.parts:
        missing = part == os.pardir and not os.path.lexists(kept)
        kept = kept.parent if missing else kept / part
    return kept


def settled_option(path: Path | None) -> Path | None:
    """The callback of options and arguments that say where to write."""
    return None if path is None else settled(path)


def composed(name: str) -> str:
    """The name with composed accents, which macOS takes apart."""
    return unicodedata.normalize("NFC", name)


def folded(path: str | Path) -> str:
    """Equal for two names that are one file's on some file system: by letter case or accents."""
    return composed(str(path)).casefold()


def same(first: Path, second: Path) -> bool:
    """Whether two names are one file's."""
    return identity(first) == identity(second)


def identity(path: Path) -> Identity:
    """Equal for two names of one file: through links, mounts, or letter case if it is ignored."""
    # Unlike Path.resolve, this accepts links that point to themselves. It also follows a link over
    # a folder that does not exist yet, as writing would.
    real = os.path.realpath(path)
    try:
        status = os.stat(real)
    except OSError:
        return real
    return status.st_dev, status.st_ino
