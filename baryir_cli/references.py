"""References to weights: an embedded name or a file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from baryir_cli.errors import UsageError, UserError
from models.network import BaryIR
from models.weights import WeightsError, load_network, read_weights

DEFAULT = "small"
"""The embedded weights that ``restore`` uses."""


def embedded() -> dict[str, Path]:
    """The weights that ship with the package, by name."""
    folder = Path(str(files("models"))) / "embedded"
    return {p.stem: p for p in sorted(folder.glob("*.safetensors"))}


def resolve_weights(reference: str) -> Path:
    """The file behind a reference.

    Raises:
        UsageError: neither an embedded name nor a file.
    """
    known = embedded()
    if reference in known:
        return known[reference]
    path = Path(reference)
    if path.is_file():
        return path
    names = ", ".join(known) or "none"
    raise UsageError(f"no weights {reference!r}: neither an embedded name ({names}) nor a file")


def network_of(reference: str) -> BaryIR:
    """The network behind a reference, in float32 on the CPU.

    Raises:
        UserError: there are no such weights, or the file does not hold a network.
    """
    path = resolve_weights(reference)
    try:
        return load_network(read_weights(path))
    except WeightsError as error:
        raise UserError(str(error)) from None
