"""``baryir degrade``: turns photographs into noisy, grainy, rainy, hazy, blurred or dark ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from baryir_cli.batch import options
from baryir_cli.batch.command import Batch, carry_out
from baryir_cli.commands import completion
from baryir_cli.errors import UsageError, UserError
from baryir_cli.limits import MAX_MEGAPIXELS
from baryir_cli.seeds import seed_of

if TYPE_CHECKING:
    from numpy.random import Generator

    from baryir_cli.batch.display import Display
    from baryir_cli.batch.picture import Work
    from baryir_cli.files.jobs import Job
    from baryir_cli.images import Photo
    from train.degradations import Step


def _show_types(wanted: bool) -> None:
    if not wanted:
        return
    from train.degradations import KINDS

    for kind in KINDS.values():
        typer.echo(f"{kind.name}: {kind.summary}")
        for parameter in kind.parameters:
            typer.echo(
                f"  {parameter.name:9} {parameter.meaning}: {parameter.allowed}"
                f" (default {parameter.drawn})"
            )
    raise typer.Exit


def degrade(
    inputs: options.Inputs,
    output: options.Output,
    type: Annotated[
        list[str],
        typer.Option(
            help="noise, camera, film, rain, haze, blur, lowlight, jpeg or underwater, or several "
            "in turn: haze,noise:25, or --type again. --list explains them.",
            autocompletion=completion.degradations,
        ),
    ],
    seed: Annotated[int, typer.Option(min=0, help="Seed of random parameters and noise.")] = 0,
    _list: Annotated[
        bool,
        typer.Option(
            "--list", callback=_show_types, is_eager=True, help="List all types and parameters."
        ),
    ] = False,
    recursive: options.Recursive = False,
    format: options.OutputFormat = None,
    quality: options.Quality = None,
    suffix: options.Suffix = "",
    skip_existing: options.SkipExisting = False,
    overwrite: options.Overwrite = False,
    in_place: options.InPlace = False,
    compare: options.Compare = False,
    max_megapixels: options.MaxMegapixels = MAX_MEGAPIXELS,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Degrade photographs: noise, film grain, rain, haze, blur, low light, JPEG, underwater.

    Parameters follow after colons: rain:angle=20:length=40. The others are random.
    """
    from train.degradations import DegradationError, parse

    kind = ",".join(type)
    try:
        steps = parse(kind)
    except DegradationError as error:
        raise UsageError(f"--type {kind}: {error}") from None
    asked = Batch(
        "degrade",
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
        facts={"type": None, "seed": None},
    )

    def begin(_display: Display) -> Work:
        def work(job: Job, photo: Photo, _progress: Callable[[float], None]) -> tuple[Any, Any]:
            rng = _generator(seed, _name(job.source, asked.inputs), photo.page)
            try:
                return _degraded(photo, steps, rng), {"type": kind, "seed": seed}
            except DegradationError as error:
                raise UserError(str(error)) from None

        return work

    carry_out(asked, lambda: begin)


def _name(source: Path, inputs: Sequence[Path]) -> str:
    """A photograph's path below the nearest of the folders that were given."""
    if source in inputs:
        return source.name
    return min(
        (source.relative_to(given).as_posix() for given in inputs if source.is_relative_to(given)),
        key=len,
        default=source.name,
    )


def _generator(seed: int, name: str, page: int) -> Generator:
    """An image's own random generator, independent of other images and their order."""
    import numpy as np

    return np.random.default_rng([seed, seed_of(name), *[page] * (page > 0)])


def _degraded(photo: Photo, steps: Sequence[Step], rng: Generator) -> Any:
    """Degraded pixels in the photograph's bit depth; grey stays grey."""
    import numpy as np

    from models.light import floating, full_scale
    from train.degradations import degrade as apply

    image = apply(floating(photo.pixels), steps, rng)
    if photo.layout in ("grey", "bilevel"):
        # One channel, not the mean, which would have less noise than requested.
        image = np.repeat(image[..., 1:2], 3, axis=2)
    kind = photo.pixels.dtype
    return np.rint(image * np.float32(full_scale(kind))).astype(kind)
