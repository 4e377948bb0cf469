"""``baryir restore``: photographs in, restored photographs out."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from baryir_cli import batch

if TYPE_CHECKING:
    from baryir_cli.console import Display
    from baryir_cli.engine import Engine
    from baryir_cli.images import Photo
    from baryir_cli.pipeline import Work
    from baryir_cli.plan import Job
    from models.weights import Weights


class Precision(str, Enum):
    """Arithmetic of the network."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


ENGINE = "Engine"
NOT_RESTORED = {
    "tiles": 0,
    "tile": [0, 0],
    "precision": "",
    "device": "",
    "redone_in_fp32": 0,
    "weights": None,
}
"""What ``--json`` says of an image that the engine did not get to."""


def restore(
    inputs: batch.Inputs,
    output: batch.Output,
    recursive: batch.Recursive = False,
    format: batch.OutputFormat = None,
    quality: batch.Quality = None,
    suffix: batch.Suffix = "",
    skip_existing: batch.SkipExisting = False,
    overwrite: batch.Overwrite = False,
    in_place: batch.InPlace = False,
    compare: batch.Compare = False,
    max_megapixels: batch.MaxMegapixels = 512,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Embedded name, hf:owner/repo\\[@revision]\\[:file], or a file."
            "  \\[default: small; see baryir config]",
            show_default=False,
            rich_help_panel=ENGINE,
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of the correction that is applied.", rich_help_panel=ENGINE
        ),
    ] = 1.0,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=ENGINE)
    ] = "auto",
    precision: Annotated[
        Precision,
        typer.Option(help="auto: half where the hardware has it.", rich_help_panel=ENGINE),
    ] = Precision.auto,
    tile: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Side of a tile in pixels, 0: the whole image.  \\[default: by free memory]",
            show_default=False,
            rich_help_panel=ENGINE,
        ),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Pixels that tiles share.  \\[default: 64, less for small tiles]",
            show_default=False,
            rich_help_panel=ENGINE,
        ),
    ] = None,
    dry_run: batch.DryRun = False,
    as_json: batch.AsJson = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Weights, device, precision; tracebacks.",
            rich_help_panel=batch.SHOW,
        ),
    ] = False,
) -> None:
    """Restore photographs: noise, rain, haze, motion blur, low light, blind.

    Metadata, profile, bit depth and format are kept; a bad file stops no other.
    """
    asked = batch.Batch(
        "restore",
        inputs,
        output,
        recursive=recursive,
        format=format,
        quality=quality,
        suffix=suffix,
        skip_existing=skip_existing,
        overwrite=overwrite,
        in_place=in_place,
        compare=compare,
        max_megapixels=max_megapixels,
        dry_run=dry_run,
        as_json=as_json,
        verbose=verbose,
        facts=NOT_RESTORED,
    )

    def prepare() -> Callable[[Display], Work]:
        from baryir_cli.references import find_weights, load

        file = find_weights(weights)
        loaded = load(file)
        facts = {"weights": file.to_dict(loaded.sha256)}

        def begin(display: Display) -> Work:
            engine = _engine(loaded, device, precision.value, tile, overlap, display)
            if verbose:
                display.note(f"weights {file.pinned} ({file.path}; {file.chosen_by})")
                display.note(f"device {engine.device}, precision {engine.precision}")

            def work(_job: Job, photo: Photo, progress: Callable[[float], None]) -> tuple[Any, Any]:
                pixels, report = engine.restore(photo.pixels, strength=strength, progress=progress)
                return pixels, report.to_dict() | facts

            return work

        return begin

    batch.carry_out(asked, prepare)


def _engine(
    weights: Weights,
    device: str,
    precision: str,
    tile: int | None,
    overlap: int | None,
    display: Display,
) -> Engine:
    from baryir_cli.device import keep_freed_memory
    from baryir_cli.engine import Engine
    from models.weights import load_network

    keep_freed_memory()
    return Engine(
        load_network(weights),
        device=device,
        precision=precision,
        tile=tile,
        overlap=overlap,
        notify=display.note,
    )
