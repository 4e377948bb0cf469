"""``baryir weights``: lists, inspects, fetches, checks and publishes weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from baryir_cli.commands.convert import convert
from baryir_cli.errors import UsageError
from baryir_cli.shell.syntax import Tool

if TYPE_CHECKING:
    from baryir_cli.hub.reference import HubReference

weights = Tool(name="weights", help="List, inspect, fetch, check, convert and publish weights.")
weights.command()(convert)

REFERENCE = "Embedded name, hf:owner/repo\\[@revision]\\[:file], or a file."
Reference = Annotated[str, typer.Argument(metavar="REF", help=REFERENCE, show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


@weights.command("list")
def list_weights(
    hub: Annotated[
        bool, typer.Option("--hub", help="Also list what anyone has published on the Hub.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the embedded weights and those in the Hub's cache."""
    from baryir_cli.shell.console import messages
    from baryir_cli.weights.catalogue import cached, embedded_weights, published, show

    found = [*embedded_weights(), *cached()]
    if hub:
        known = {entry.reference for entry in found}
        found += [entry for entry in published(messages()) if entry.reference not in known]
    if as_json:
        typer.echo(json.dumps([entry.to_dict() for entry in found], indent=1))
    else:
        show(found)


@weights.command()
def info(
    ref: Reference,
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor.")] = False,
    as_json: Json = False,
) -> None:
    """Show config, provenance, tensors and hash, fetching from the Hub if needed."""
    from baryir_cli.weights.inspection import Inspection
    from baryir_cli.weights.references import find_weights

    inspection = Inspection.of(find_weights(ref))
    if as_json:
        typer.echo(json.dumps(inspection.to_dict(), indent=1))
        return
    inspection.show(every_tensor=tensors)


@weights.command()
def pull(ref: Reference) -> None:
    """Fetch weights into the Hub's cache and print the file's path."""
    from baryir_cli.shell.console import messages, printable
    from baryir_cli.weights.references import find_weights, load_header

    file = find_weights(ref)
    load_header(file)
    messages().print(printable(f"{file.pinned} ({file.origin})"), markup=False)
    typer.echo(file.path)


@weights.command()
def verify(
    ref: Reference,
    sha256: Annotated[
        str | None, typer.Option(help="Expected hash of the file.", show_default=False)
    ] = None,
) -> None:
    """Check hash, header, values and config, and run the network once."""
    from baryir_cli.shell.console import messages, note
    from baryir_cli.weights import provenance
    from baryir_cli.weights.references import find_weights, load_header
    from baryir_cli.weights.verify import verify as checks

    file = find_weights(ref)
    for name, found in checks(file, sha256):
        typer.echo(f"ok  {name:8} {found}")
    if caution := provenance.caution(load_header(file).provenance):
        note(messages(), caution)


@weights.command()
def push(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="The weights, or a reference to them.")
    ],
    repo: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="Repository in your own namespace.")
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private.")
    ] = False,
    revision: Annotated[
        str | None,
        typer.Option(help="Branch, created if needed.  \\[default: main]", show_default=False),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the file there.")] = "model.safetensors",
    licence: Annotated[
        str | None,
        typer.Option(
            help="Licence for the card.  \\[default: the weights' own]", show_default=False
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent; contact nobody.")
    ] = False,
) -> None:
    """Publish weights with a model card in one commit, creating the repository if needed."""
    from baryir_cli.hub.publish import Publication, publish
    from baryir_cli.shell.console import messages, note, printable
    from baryir_cli.weights import provenance
    from baryir_cli.weights.card import model_card
    from baryir_cli.weights.references import find_weights, load

    target = _target(repo, revision, name)
    source = find_weights(file)
    loaded = load(source)  # damaged weights must not be published
    licence = licence or provenance.licence(loaded.provenance)
    card = model_card(target, loaded, licence)
    console = messages()
    if caution := provenance.caution(loaded.provenance):
        note(console, caution)
    if licence is None:
        note(console, "no licence is stated; --licence adds one to the card")
    what = f"{printable(source.path)} ({source.path.stat().st_size / 1e6:.1f} MB) to {target}"
    if dry_run:
        typer.echo(card)
        console.print(f"would send {what}, with this README.md; nothing was sent", markup=False)
        return
    console.print(f"sending {what}", markup=False)
    done = publish(Publication(target, source.path, card, private or None), console)
    if not done.card_written:
        note(console, "README.md was written by hand and is not changed")
    console.print(f"published: {done.url}", markup=False)
    typer.echo(done.pinned)


@weights.command()
def cache(
    ref: Annotated[
        str | None,
        typer.Argument(
            metavar="REF",
            help="Weights of this repository only.  \\[default: all]",
            show_default=False,
        ),
    ] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Remove them.")] = False,
) -> None:
    """Show or remove downloaded weights; other tools' files are left alone."""
    from baryir_cli.hub import cache as hub_cache
    from baryir_cli.hub.reference import PREFIX, HubReference
    from baryir_cli.shell.console import printable

    wanted = HubReference.parse(ref) if ref else None
    if ref and ":" in ref.removeprefix(PREFIX):
        raise UsageError(f"{ref}: the cache keeps whole commits; use {PREFIX}owner/repo[@revision]")
    found = [w for w in hub_cache.cached_weights() if wanted is None or w.is_of(wanted)]
    typer.echo(printable(hub_cache.folder()))
    if not found:
        typer.echo(f"no weights of {ref} in it" if ref else "no weights in it")
        return
    for entry in found:
        typer.echo(f"{entry.size / 1e6:9.1f} MB  {printable(entry.reference)}")
    size, what = (
        (hub_cache.clean(found), "freed") if clean else (hub_cache.size_of(found), "in all")
    )
    typer.echo(f"{size / 1e6:9.1f} MB  {what}")


def _target(repo: str, revision: str | None, name: str) -> HubReference:
    from baryir_cli.hub.reference import PREFIX, HubReference

    if "/" not in repo:
        raise UsageError(f"{repo}: use OWNER/{repo}, with a namespace of yours")
    if not name.endswith(".safetensors"):
        raise UsageError(f"--name {name}: must end in .safetensors")
    at = f"@{revision}" if revision else ""
    return HubReference.parse(f"{PREFIX}{repo.removeprefix(PREFIX)}{at}:{name}")
