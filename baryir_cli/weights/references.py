"""References to weights: an embedded name, ``hf:owner/repo[@revision][:file]`` or a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from baryir_cli.errors import UsageError, UserError
from baryir_cli.hub.reference import FORM, PREFIX, HubReference
from baryir_cli.settings import value_of
from models.wording import choices, no_such

if TYPE_CHECKING:
    from models.header import Header
    from models.network import BaryIR
    from models.weights import Weights

T = TypeVar("T")


@dataclass(frozen=True)
class WeightsFile:
    """A file with weights.

    Attributes:
        reference: as requested.
        path: the file.
        origin: kind of place.
        hub: repository and commit, if from the Hub.
        etag: the file's hash on the Hub, which has been checked.
        chosen_by: origin of the default; empty if the weights were requested by name.
    """

    reference: str
    path: Path
    origin: Literal["embedded", "hub", "file"]
    hub: HubReference | None = None
    etag: str | None = None
    chosen_by: str = ""

    @property
    def pinned(self) -> str:
        """A reference to exactly this file; for the Hub, it names the commit."""
        return str(self.hub or self.reference)

    def describe(self) -> str:
        """Says which weights, where they are, and what chose them."""
        path = os.path.abspath(self.path)
        place = f", {path}" if self.pinned != path else ""
        chosen = {"": "chosen by --weights", "default": "the default"}
        by = chosen.get(self.chosen_by, f"chosen by {self.chosen_by}")
        return f"{self.pinned}{place} ({by})"

    def to_dict(self, sha256: str) -> dict[str, Any]:
        """The weights' entry in JSON results."""
        commit = self.hub.revision if self.hub else None
        return {"reference": self.pinned, "revision": commit, "sha256": sha256}


def embedded() -> dict[str, Path]:
    """Paths of the weights that ship with the package, by name."""
    folder = Path(str(files("models"))) / "embedded"
    return {p.stem: p for p in sorted(folder.glob("*.safetensors"))}


def installed_sha256(path: Path) -> str | None:
    """The hash that the installer recorded for a file of this package; None in a checkout."""
    import base64
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        noted = distribution("baryir").files or []
    except PackageNotFoundError:
        return None
    for file in noted:
        same = file.name == path.name and Path(str(file.locate())).resolve() == path.resolve()
        if same and file.hash and file.hash.mode == "sha256":
            # RECORD has base64 without padding.
            return base64.urlsafe_b64decode(file.hash.value + "=").hex()
    return None


def find_weights(reference: str | None = None) -> WeightsFile:
    """Returns the file behind a reference, fetching it from the Hub if needed.

    Args:
        reference: None for the default: ``BARYIR_WEIGHTS``, else ``baryir config``'s, else
            ``small``.

    Raises:
        UsageError: it is neither an embedded name nor a file nor a Hub reference.
        UserError: the Hub does not have it or is unreachable.
    """
    file, origin = resolved(reference, _find)
    return replace(file, chosen_by=origin)


def check_reference(reference: str | None = None) -> None:
    """Checks a reference as far as that needs no network.

    Raises:
        UserError: as :func:`find_weights` and :func:`load_header`.
    """
    resolved(reference, _check)


def resolved(reference: str | None, resolve: Callable[[str], T]) -> tuple[T, str]:
    """What ``resolve`` makes of the reference, or of the default, and the default's origin."""
    if reference is not None:
        return resolve(reference), ""
    default = value_of("weights")
    try:
        return resolve(default.text), default.origin
    except UserError as error:
        raise type(error)(f"{error} (requested by {default.origin})") from None


def _check(reference: str) -> None:
    if reference.startswith(PREFIX):
        HubReference.parse(reference)
    else:
        load_header(_find(reference))


def _find(reference: str) -> WeightsFile:
    known = embedded()
    if reference in known:
        return WeightsFile(reference, known[reference], "embedded")
    if reference.startswith(PREFIX):
        return _from_hub(HubReference.parse(reference))
    # Path.expanduser would raise for unknown users.
    path = Path(os.path.expanduser(reference))
    if path.is_file():
        return WeightsFile(reference, path, "file")
    if reference and path.is_dir():
        inside = path / "weights.safetensors"
        way = f"use the run's {inside}" if inside.is_file() else "give a file of weights"
        raise UsageError(no_such(path, "file", way))
    raise UsageError(f"{reference}: no such weights; use {choices([*known, 'a file', FORM])}")


def _from_hub(reference: HubReference) -> WeightsFile:
    from baryir_cli.hub.download import fetch
    from baryir_cli.shell.console import messages

    found = fetch(reference, messages())
    return WeightsFile(str(reference), found.path, "hub", found.pinned, found.etag)


def load_header(file: WeightsFile) -> Header:
    """Reads a file's header, without its tensors and without torch.

    Raises:
        UserError: it does not hold our weights, or is cut short.
    """
    from models.header import WeightsError, header_of

    try:
        return header_of(file.path)
    except WeightsError as error:
        raise UserError(str(error)) from None


def load(file: WeightsFile) -> Weights:
    """Reads and checks a file.

    Raises:
        UserError: it does not hold our weights, or is damaged.
    """
    from models.weights import WeightsError, read_weights

    try:
        return read_weights(file.path)
    except WeightsError as error:
        raise UserError(str(error)) from None


def network_of(reference: str | None = None) -> BaryIR:
    """Loads the network behind a reference (None: the default), in float32 on the CPU.

    Raises:
        UserError: no such weights, or the file does not hold a network.
    """
    from models.weights import load_network

    return load_network(load(find_weights(reference)))
