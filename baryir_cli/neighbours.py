"""Imported first by the Python interface: whether ``models`` is this tool's own.

The packages are installed as they stand, so a ``models`` beside somebody's script comes first.

Raises:
    ImportError: it does; the message names it.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

_OWN = Path(__file__).resolve().parents[1] / "models"
_FOUND = find_spec("models")

if _FOUND and _FOUND.origin and Path(_FOUND.origin).resolve().parent != _OWN:
    raise ImportError(
        f"{_FOUND.origin} stands in the way of baryir's own package 'models': rename yours, or "
        "keep its folder out of sys.path",
        name="models",
    )
