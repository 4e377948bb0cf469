"""Imported first by the Python interface: checks that ``models`` and ``train`` are this tool's own.

Modules of these names next to a user's script would hide ours, which are installed under them.

Raises:
    ImportError: one does; the message names it.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

_HERE = Path(__file__).resolve().parents[1]


def _check(name: str) -> None:
    found = find_spec(name)
    if found and found.origin and Path(found.origin).resolve().parent != _HERE / name:
        raise ImportError(
            f"{found.origin} hides baryir's own package {name!r}; rename it, or keep its folder "
            "out of sys.path",
            name=name,
        )


_check("models")
_check("train")
