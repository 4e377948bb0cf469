"""Imported first by the Python interface, to check that ``models`` is this tool's own package.

A ``models`` next to a user's script would hide ours, because it is installed under this plain name.

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
        f"{_FOUND.origin} hides baryir's own package 'models'; rename it, or keep its folder out "
        "of sys.path",
        name="models",
    )
