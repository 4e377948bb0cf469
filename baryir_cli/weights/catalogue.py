"""Lists weights: embedded, in the Hub's cache, and published on the Hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from baryir_cli.shell.console import answers, printable
from baryir_cli.weights import provenance
from baryir_cli.weights.figures import figures_table
from baryir_cli.weights.references import embedded
from models.header import Header, header_of


@dataclass(frozen=True)
class Listed:
    """One set of weights, as known without fetching it."""

    reference: str
    where: str
    size: int | None = None
    """Bytes."""
    commit: str | None = None
    sources: list[str] | None = None
    licence: str | None = None
    figures: dict[str, dict[str, float]] | None = None

    def to_dict(self) -> dict[str, Any]:
        """One entry of ``--json``."""
        return dict(vars(self))


def embedded_weights() -> list[Listed]:
    """The weights that ship with the package."""
    return [
        Listed(name, "embedded", path.stat().st_size, None, *_said(header_of(path)))
        for name, path in embedded().items()
    ]


def cached() -> list[Listed]:
    """The Hub's weights on this machine, under the shortest reference that finds them."""
    from baryir_cli.hub.cache import cached_weights

    found = []
    for weights in cached_weights():
        pinned = weights.reference
        branch = "main" if "main" in weights.branches else next(iter(weights.branches), None)
        reference = pinned.at(None if branch == "main" else branch or pinned.revision)
        said = _said(weights.header)
        found.append(Listed(str(reference), "cached", weights.size, pinned.revision, *said))
    return found


def published(console: Console) -> list[Listed]:
    """Anybody's repositories on the Hub that are tagged as weights of BaryIR.

    Raises:
        baryir_cli.errors.UserError: the Hub refused or is unreachable.
    """
    from baryir_cli.hub.reference import TAG, HubReference
    from baryir_cli.hub.session import api, check_reachable, visit

    with visit("the list of the Hub", console):
        check_reachable()
        models = list(api().list_models(filter=TAG, limit=100))
    found = []
    for model in models:
        tags = [tag for tag in model.tags or [] if tag.startswith("license:")]
        licence = printable(tags[0].removeprefix("license:")) if tags else None
        found.append(Listed(str(HubReference(model.id)), "on the Hub", licence=licence))
    return found


def _said(header: Header) -> tuple[list[str], str | None, dict[str, dict[str, float]]]:
    known = header.provenance
    return provenance.sources(known), provenance.licence(known), provenance.figures(known)


def show(entries: list[Listed]) -> None:
    """Prints the list for people, followed by the PSNR that each set of weights states."""
    console = answers()
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("reference", "where", "MB", "licence", "trained on"):
        # References must stay complete, so that they can be copied.
        shown.add_column(name, overflow="fold", justify="right" if name == "MB" else "left")
    for entry in entries:
        cells = (
            printable(entry.reference),
            entry.where,
            f"{entry.size / 1e6:.1f}" if entry.size else "",
            entry.licence or "not stated",
            ", ".join(entry.sources or []),
        )
        shown.add_row(*map(escape, cells))
    console.print(shown)
    for entry in entries:
        if entry.figures:
            console.print()
            title = f"figures of {printable(entry.reference)}"
            console.print(figures_table(entry.figures, title, ["psnr"]))
