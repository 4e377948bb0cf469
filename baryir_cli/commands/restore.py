"""``baryir restore``: photographs in, restored photographs out."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from baryir_cli.errors import ExitCode, UsageError, UserError

if TYPE_CHECKING:
    from baryir_cli.console import Display
    from baryir_cli.engine import Engine
    from baryir_cli.pipeline import Options, Result
    from baryir_cli.plan import Job
    from models.weights import Weights


class Format(str, Enum):
    """Formats that can be written, under the names that people use."""

    png = "png"
    jpeg = "jpeg"
    jpg = "jpg"
    webp = "webp"
    tiff = "tiff"
    tif = "tif"
    bmp = "bmp"


CANONICAL = {"jpg": "jpeg", "tif": "tiff"}


class Precision(str, Enum):
    """Arithmetic of the network."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


FILES, ENGINE, SHOW = "Files", "Engine", "What is shown"


def restore(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT", help="Images and folders; - is standard input."),
    ],
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT", help="Folder, or file for one image; - is standard output."
        ),
    ],
    recursive: Annotated[
        bool,
        typer.Option(
            "--recursive",
            "-r",
            help="Folders inside folders too; the tree is mirrored.",
            rich_help_panel=FILES,
        ),
    ] = False,
    format: Annotated[
        Format | None,
        typer.Option(
            case_sensitive=False,
            help="Write all images in this format.  \\[default: each as it came]",
            show_default=False,
            rich_help_panel=FILES,
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="Of JPEG and WebP.  \\[default: 95]",
            show_default=False,
            rich_help_panel=FILES,
        ),
    ] = None,
    suffix: Annotated[
        str,
        typer.Option(
            help="Added to every name: photo.jpg, photo[SUFFIX].jpg.",
            show_default=False,
            rich_help_panel=FILES,
        ),
    ] = "",
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing",
            help="Leave outputs that are there: continue a run.",
            rich_help_panel=FILES,
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace outputs that are there.", rich_help_panel=FILES),
    ] = False,
    in_place: Annotated[
        bool,
        typer.Option(
            "--in-place", help="Let outputs replace their own inputs.", rich_help_panel=FILES
        ),
    ] = False,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Also write NAME.EXT.compare.jpg, input and output side by side.",
            rich_help_panel=FILES,
        ),
    ] = False,
    max_megapixels: Annotated[
        float,
        typer.Option(
            min=0.000001,
            help="Refuse images of more megapixels before decoding.",
            rich_help_panel=FILES,
        ),
    ] = 512,
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
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show what would become what; do nothing.", rich_help_panel=SHOW
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="One line of JSON for every image on standard output.",
            rich_help_panel=SHOW,
        ),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Weights, device, precision; tracebacks.", rich_help_panel=SHOW
        ),
    ] = False,
) -> None:
    """Restore photographs: noise, rain, haze, motion blur, low light, blind.

    Metadata, profile, bit depth and format are kept; a bad file stops no other.
    """
    from baryir_cli.plan import Naming, plan

    if skip_existing and (overwrite or in_place):
        other = "--overwrite" if overwrite else "--in-place"
        raise UsageError(f"--skip-existing and {other} exclude each other")
    name = CANONICAL.get(format.value, format.value) if format else None
    naming = Naming(name, suffix, recursive, compare, in_place)
    jobs = plan(inputs, output, naming)
    _check_standard_streams(jobs, as_json)
    present = _present(jobs, skip_existing, overwrite, in_place)
    if dry_run:
        _show_plan(jobs, present)
        return

    from baryir_cli.console import Display, messages, summary
    from baryir_cli.pipeline import Options
    from baryir_cli.references import find_weights, load

    file = find_weights(weights)
    loaded = load(file)
    _make_folders(jobs)
    options = Options(strength, naming.format, quality, max_megapixels)
    console = messages()
    with Display(console, len(jobs), quiet=as_json) as display:
        engine = _engine(loaded, device, precision.value, tile, overlap, display)
        if verbose:
            display.note(f"weights {file.pinned} ({file.path}; {file.chosen_by})")
            display.note(f"device {engine.device}, precision {engine.precision}")
        started = time.perf_counter()
        results = []
        for result in _results(jobs, present, engine, options, display):
            display.add(result)
            results.append(result)
            if as_json:
                line = {**result.to_dict(), "weights": file.to_dict(loaded.sha256)}
                sys.stdout.write(json.dumps(line) + "\n")
                sys.stdout.flush()
            if verbose and result.details:
                console.print(result.details, markup=False)
    console.print(summary(results, time.perf_counter() - started), markup=False)
    failed = sum(r.status == "failed" for r in results)
    if failed:
        raise typer.Exit(ExitCode.FAILED if failed == len(results) else ExitCode.SOME_FAILED)


def _check_standard_streams(jobs: list[Job], as_json: bool) -> None:
    from baryir_cli.plan import STANDARD

    if jobs[0].source == STANDARD and sys.stdin is None:
        raise UsageError("-: standard input is closed")
    if jobs[0].target != STANDARD:
        return
    if sys.stdout is None:
        raise UsageError("-: standard output is closed")
    if as_json:
        raise UsageError("--json and - both want standard output; write the image to a file")
    if sys.stdout.isatty():
        raise UsageError("-: standard output is a terminal; send it to a file or a program")


def _present(jobs: list[Job], skip: bool, overwrite: bool, in_place: bool) -> set[Job]:
    """Jobs to skip because their outputs are there.

    Raises:
        UsageError: outputs are there and nobody said what to do with them.
    """
    from baryir_cli.plan import exists_already

    there = {job: found for job in jobs if (found := exists_already(job, in_place=in_place))}
    if skip:
        return {job for job, found in there.items() if len(found) == len(job.outputs)}
    if there and not overwrite:
        first = next(iter(there.values()))[0]
        raise UsageError(
            f"{first} is there already ({len(there)} of {len(jobs)} outputs are); "
            "say --skip-existing or --overwrite"
        )
    return set()


def _make_folders(jobs: list[Job]) -> None:
    """Makes the output's folders: whether that is allowed shows before anything is computed."""
    for folder in {path.parent for job in jobs for path in job.outputs}:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise UserError(f"{folder}: cannot be written to")


def _show_plan(jobs: list[Job], present: set[Job]) -> None:
    from baryir_cli.console import shown

    for job in jobs:
        verb = "skip   " if job in present else "restore"
        typer.echo(f"{verb} {shown(job.source)} -> {shown(job.target)}")
    typer.echo(f"{len(jobs) - len(present)} to restore, {len(present)} to skip; nothing was done")


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


def _results(
    jobs: list[Job], present: set[Job], engine: Engine, options: Options, display: Display
) -> Iterator[Result]:
    from baryir_cli.pipeline import Result, run

    for job in jobs:
        if job in present:
            yield Result(job, "skipped")
    yield from run([j for j in jobs if j not in present], engine, options, display.working)
