"""Commands over files and folders: everything around the work on an image."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from baryir_cli.batch.options import Format, path_of
from baryir_cli.errors import ExitCode, StoppedError, UsageError, UserError
from baryir_cli.files.atomic import DiskFullError, make_folder
from baryir_cli.limits import check_megapixels
from baryir_cli.shell.stdout import StandardOutputError, failed

if TYPE_CHECKING:
    from baryir_cli.batch.display import Display, Tally
    from baryir_cli.batch.picture import Work
    from baryir_cli.batch.results import Result
    from baryir_cli.files.jobs import Job
    from baryir_cli.files.naming import Naming


@dataclass(frozen=True)
class Batch:
    """What a command was asked to do with files, apart from the work itself.

    Attributes:
        verb: the work, in one word.
        facts: entries of a ``--json`` line for an image that was not worked on.
        verbose: show the traceback of unforeseen failures.
    """

    verb: str
    inputs: list[Path]
    output: str
    recursive: bool
    format: Format | None
    quality: int | None
    suffix: str
    skip_existing: bool
    overwrite: bool
    in_place: bool
    compare: bool
    max_megapixels: float
    dry_run: bool
    as_json: bool
    facts: Mapping[str, Any]
    verbose: bool = False

    def __post_init__(self) -> None:
        if self.skip_existing and (self.overwrite or self.in_place):
            other = "--overwrite" if self.overwrite else "--in-place"
            raise UsageError(f"--skip-existing and {other} cannot be combined")
        check_megapixels(self.max_megapixels)

    @property
    def naming(self) -> Naming:
        """How to name the outputs."""
        from baryir_cli.files.naming import Naming
        from baryir_cli.images.photo import FORMAT_OF_SUFFIX

        return Naming(
            format=FORMAT_OF_SUFFIX[f".{self.format.value}"] if self.format else None,
            suffix=self.suffix,
            recursive=self.recursive,
            compare=self.compare,
            in_place=self.in_place,
            folder=self.output.endswith(("/", os.sep)),
        )


def carry_out(batch: Batch, prepare: Callable[[], Callable[[Display], Work]]) -> None:
    """Does the work on every image and shows how it goes; a failing image does not stop the others.

    Args:
        prepare: called once, after all checks that are possible in advance and before anything
            is written; returns a function that makes the work, given the display.

    Raises:
        UserError: the request is impossible, and nothing was written; or the reader of the
            ``--json`` lines is gone.
        StoppedError: in place of KeyboardInterrupt.
        typer.Exit: some or all files failed.
    """
    from baryir_cli.files.jobs import without_existing_comparison
    from baryir_cli.files.paths import identity
    from baryir_cli.files.plan import plan

    jobs = plan(batch.inputs, path_of(batch.output), batch.naming, _note)
    if batch.skip_existing:
        jobs = [without_existing_comparison(job) for job in jobs]
    _check_standard_streams(jobs, batch.as_json)
    if batch.quality is not None:
        _check_quality(jobs, batch.naming.format)
    present = _present(jobs, batch)
    if batch.dry_run:
        _show_plan(jobs, present, batch)
        return

    inputs = {job.source: identity(job.source) for job in jobs if batch.in_place}
    try:
        tally = _work_through(jobs, present, batch, prepare())
    except KeyboardInterrupt:
        raise StoppedError(f"interrupted; {_left_behind(batch, inputs)}") from None
    except (DiskFullError, StandardOutputError) as error:
        raise UserError(f"{error}; {_left_behind(batch, inputs)}") from None
    if failed := tally.counts["failed"]:
        raise typer.Exit(ExitCode.FAILED if failed == tally.images else ExitCode.SOME_FAILED)


def _left_behind(batch: Batch, inputs: dict[Path, Any]) -> str:
    """The state in which a stopped run has left the files, and how to continue.

    Args:
        inputs: those that may be replaced, with their
            :func:`baryir_cli.files.paths.identity` before the run.
    """
    from baryir_cli.files.paths import identity

    whole = "every output is complete or absent"
    replaced = [path for path, before in inputs.items() if identity(path) != before]
    if inputs and not replaced:
        return f"{whole}; no input was replaced"
    if replaced and len(replaced) == len(inputs):
        return f"{whole}; all inputs were replaced"
    if replaced:
        return (
            f"{whole}; {len(replaced)} of {len(inputs)} inputs were replaced, the last "
            f"{replaced[-1]}; another run would {batch.verb} them again, so give it only the others"
        )
    return f"{whole}, --skip-existing continues the run" if _continuing(batch) else whole


def _continuing(batch: Batch) -> str:
    """How another run continues this one, if it can."""
    return "" if batch.overwrite or batch.in_place else " with --skip-existing"


def _work_through(
    jobs: list[Job], present: set[Job], batch: Batch, begin: Callable[[Display], Work]
) -> Tally:
    """Does the jobs, shows each, and sums up."""
    from baryir_cli.batch.display import Display
    from baryir_cli.shell.console import messages

    display = Display(messages(), len(jobs), quiet=batch.as_json)
    started = time.perf_counter()
    # The summary after it has closed, or the bar would be drawn again below.
    try:
        with display:
            work = begin(display)
            # Before anything is computed, to see whether this is allowed.
            for folder in {path.parent for job in jobs for path in job.outputs}:
                make_folder(folder)
            started = time.perf_counter()
            # Closed, so that images being written are finished before any message.
            with closing(_results(jobs, present, work, batch, display)) as results:
                for result in results:
                    _show(result, batch, display)
    except (KeyboardInterrupt, UserError):
        ended = display.tally.images
        if 0 < ended < len(jobs):
            summary = display.tally.summary(time.perf_counter() - started)
            display.console.print(f"{summary}; {len(jobs) - ended} left", markup=False)
        raise
    display.console.print(display.tally.summary(time.perf_counter() - started), markup=False)
    return display.tally


def _show(result: Result, batch: Batch, display: Display) -> None:
    """Shows a result as was asked for."""
    result.error += _remedy(result, batch)
    display.add(result)
    if batch.as_json:
        _print_line(result.to_dict(batch.facts))
    if batch.verbose and result.details:
        display.console.print(result.details, markup=False)


def _remedy(result: Result, batch: Batch) -> str:
    """Ends the message of a failure for which a command has a remedy."""
    if result.disk_full:
        # Repeated in place, the run would do the others twice.
        way = f"{batch.verb} it again" if batch.in_place else f"repeat{_continuing(batch)}"
        return f"; free some space, and {way}"
    return "; --max-megapixels raises it" if result.too_large else ""


def _print_line(facts: dict[str, Any]) -> None:
    """Writes a line of ``--json`` at once."""
    try:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise failed(error) from None


def _note(text: str) -> None:
    from baryir_cli.shell.console import messages, note

    note(messages(), text)


def _results(
    jobs: list[Job], present: set[Job], work: Work, batch: Batch, display: Display
) -> Generator[Result, None, None]:
    from baryir_cli.batch.pipeline import run
    from baryir_cli.batch.results import Result
    from baryir_cli.files.jobs import Options

    for job in jobs:
        if job in present:
            yield Result(job, "skipped")
    options = Options(
        batch.naming.format,
        batch.quality,
        batch.max_megapixels,
        overwrite=batch.overwrite,
        in_place=batch.in_place,
        skip_existing=batch.skip_existing,
    )
    yield from run([j for j in jobs if j not in present], work, options, display.working)


def _check_standard_streams(jobs: list[Job], as_json: bool) -> None:
    from baryir_cli.files.jobs import STANDARD

    if as_json and sys.stdout is None:
        raise UsageError("--json: standard output is closed")
    if jobs[0].source == STANDARD and sys.stdin is None:
        raise UsageError("-: standard input is closed")
    if jobs[0].target != STANDARD:
        return
    if sys.stdout is None:
        raise UsageError("-: standard output is closed")
    if as_json:
        raise UsageError("--json and - both use standard output; write the image to a file")
    if sys.stdout.isatty():
        raise UsageError("-: standard output is a terminal; send it to a file or a program")


def _check_quality(jobs: list[Job], asked: str | None) -> None:
    """Refuses a quality if no output's format has one."""
    from baryir_cli.images.photo import DEFAULT_QUALITY

    formats = {job.format(asked) for job in jobs}
    if not formats & {*DEFAULT_QUALITY, None}:
        others = ", ".join(sorted(str(name).upper() for name in formats))
        raise UsageError(
            f"--quality is for JPEG, WebP, AVIF, HEIC and JPEG 2000, but all outputs are {others}"
        )


def _present(jobs: list[Job], batch: Batch) -> set[Job]:
    """Jobs to skip because their outputs exist.

    Raises:
        UsageError: outputs exist, and no option says what to do with them.
    """
    from baryir_cli.files.jobs import exists_already, is_finished

    if batch.skip_existing:
        return {job for job in jobs if is_finished(job)}
    found = {job: exists_already(job, in_place=batch.in_place) for job in jobs}
    there = [path for paths in found.values() for path in paths]
    if there and not batch.overwrite:
        outputs = sum(len(job.outputs) for job in jobs)
        choices = "--overwrite" if batch.in_place else "--skip-existing or --overwrite"
        raise UsageError(
            f"{there[0]} exists already ({len(there)} of {outputs} outputs do); use {choices}"
        )
    # These were left out of the inputs only because their names look like earlier results.
    given = {os.path.abspath(path) for path in batch.inputs}
    for path in there:
        if os.path.abspath(path) in given:
            raise UsageError(f"{path} is an input and would be replaced; leave it out, or move it")
    return set()


def _show_plan(jobs: list[Job], present: set[Job], batch: Batch) -> None:
    from baryir_cli.shell.console import printable

    verb = batch.verb
    for job in jobs:
        skipped = job in present
        problem = "" if skipped else job.problem
        if batch.as_json:
            line = {
                "status": "skipped" if skipped else "planned",
                "input": str(job.source),
                "output": str(job.target),
                "comparison": str(job.comparison) if job.comparison and not skipped else None,
                "error": problem or None,
            }
            typer.echo(json.dumps(line))
        else:
            what = "skip" if skipped else verb
            picture = [job.comparison] if job.comparison and not skipped else []
            files = [job.target_in_words, *picture]
            doubt = f" ({problem})" if problem else ""
            way = f"{printable(job.source_in_words)} -> {', '.join(map(printable, files))}"
            typer.echo(f"{what:{len(verb)}} {way}{doubt}")
    todo = [job for job in jobs if job not in present]
    counts = f"{len(todo)} to {verb}{_size_of(todo)}, {len(present)} to skip; nothing was done"
    typer.echo(counts, err=batch.as_json)


def _size_of(jobs: list[Job]) -> str:
    """The pixels of all images that say how many they have, in words."""
    from baryir_cli.files.jobs import STANDARD
    from baryir_cli.images.headers import pixels_of
    from baryir_cli.shell.units import megapixels

    sizes = [None if job.source == STANDARD else pixels_of(job.source) for job in jobs]
    unknown, total = sizes.count(None), sum(filter(None, sizes))
    parts = [megapixels(total)] if total else []
    parts += [f"{unknown} of unknown size"] if unknown else []
    return f" ({', '.join(parts)})" if parts else ""
