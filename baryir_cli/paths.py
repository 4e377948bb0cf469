"""Paths of outputs, as the system will read them once missing folders exist."""

from __future__ import annotations

import os
from pathlib import Path


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
