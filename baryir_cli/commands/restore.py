"""``baryir restore``: photographs in, restored photographs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from baryir_cli.batch import options
from baryir_cli.batch.command import Batch, carry_out
from baryir_cli.commands import completion
from baryir_cli.engine_options import (
    PANEL,
    DeviceOption,
    EngineOptions,
    KeepShakeOption,
    KeepTonesOption,
    OverlapOption,
    PrecisionOption,
    TileOption,
)
from baryir_cli.limits import MAX_MEGAPIXELS
from baryir_cli.report import Report
from baryir_cli.weights.references import check_reference

if TYPE_CHECKING:
    from baryir_cli.batch.display import Display
    from baryir_cli.batch.picture import Work


NOT_RESTORED = dict.fromkeys([*Report().to_dict(), "weights"])
"""The ``--json`` entries of an image that the engine did not restore."""


def restore(
    inputs: options.Inputs,
    output: options.Output,
    recursive: options.Recursive = False,
    format: options.OutputFormat = None,
    quality: options.Quality = None,
    suffix: options.Suffix = "",
    skip_existing: options.SkipExisting = False,
    overwrite: options.Overwrite = False,
    in_place: options.InPlace = False,
    compare: options.Compare = False,
    max_megapixels: options.MaxMegapixels = MAX_MEGAPIXELS,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Embedded name, hf:owner/repo\\[@revision]\\[:file], or a file."
            "  \\[default: small; see baryir config]",
            show_default=False,
            autocompletion=completion.weights,
            rich_help_panel=PANEL,
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of the correction to apply.", rich_help_panel=PANEL),
    ] = 1.0,
    keep_tones: KeepTonesOption = False,
    keep_shake: KeepShakeOption = False,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    tile: TileOption = None,
    overlap: OverlapOption = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Show weights, device, precision and tracebacks.",
            rich_help_panel=options.SHOW,
        ),
    ] = False,
) -> None:
    """Restore noisy, rainy, hazy, motion-blurred or dark photographs, blind.

    Metadata, profile, bit depth and format are kept; a bad file stops no other.
    """
    engine_options = EngineOptions(
        weights, device, precision, tile, overlap, keep_tones, keep_shake
    )
    asked = Batch(
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
        from baryir_cli.batch.restoring import restoring
        from baryir_cli.memory import keep_freed_memory
        from baryir_cli.weights.references import find_weights, load

        file = find_weights(engine_options.weights)
        loaded = load(file)
        facts = {"weights": file.to_dict(loaded.sha256)}

        def begin(display: Display) -> Work:
            keep_freed_memory()
            if strength == 0:
                display.note("--strength 0 applies no correction: no photograph will change")
            engine = engine_options.build(loaded, display.note)
            if verbose:
                display.note(f"weights {file.describe()}")
                display.note(f"device {engine.device}, precision {engine.precision}")

            return restoring(engine, strength, facts)

        return begin

    check_reference(engine_options.weights)
    carry_out(asked, prepare)
