"""References to weights: an embedded name or a file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from baryir_cli.errors import UserError

DEFAULT = "small"
"""The embedded weights that ``restore`` uses."""


def embedded() -> dict[str, Path]:
    """The weights that ship with the package, by name."""
    folder = Path(str(files("models"))) / "embedded"
    return {p.stem: p for p in sorted(folder.glob("*.safetensors"))}


def resolve_weights(reference: str) -> Path:
    """The file behind a reference.

    Raises:
        UserError: neither an embedded name nor a file.
    """
    known = embedded()
    if reference in known:
        return known[reference]
    path = Path(reference)
    if path.is_file():
        return path
    names = ", ".join(known) or "none"
    raise UserError(f"no weights {reference!r}: neither an embedded name ({names}) nor a file")
