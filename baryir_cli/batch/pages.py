"""A file of several pages: each is worked on like a file of its own, then all are joined."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from baryir_cli.batch.picture import Encode, Files, Read, Work, do_picture, read, room_ahead
from baryir_cli.batch.results import Result
from baryir_cli.errors import UserError
from baryir_cli.files.atomic import not_written
from baryir_cli.files.jobs import STANDARD, Job, Options
from baryir_cli.images import Binder, naming_page
from baryir_cli.report import over_parts
from baryir_cli.stages import in_stages


@dataclass
class Pages:
    """The pages of a file, which are decoded one by one."""

    source: Path | bytes
    count: int


def do_pages(
    result: Result,
    pages: Pages,
    work: Work,
    options: Options,
    progress: Callable[[float], None],
) -> Files:
    """Works on every page, joins them, and sets the result of the file.

    Raises:
        UserError: a page cannot be read, worked on or written; none after it is worked on.
    """
    job = result.job
    if (name := job.format(options.format)) not in ("tiff", None):
        raise UserError(
            f"has {pages.count} pages, but {str(name).upper()} holds one; write a TIFF, or split "
            "it into one file each"
        )
    done: list[Result] = []

    def do(number: int, future: Future[Read]) -> Encode:
        def so_far(share: float) -> None:
            progress((number + share) / pages.count)

        done.append(Result(job, "done"))
        with naming_page(number):
            return do_picture(done[-1], future.result(), work, options, so_far)

    encoded = in_stages(
        range(pages.count),
        lambda number: read(pages.source, number, options.max_megapixels),
        do,
        lambda encode: encode(),
        lambda: room_ahead(done[-1]) if done else 1,
    )
    with closing(encoded):
        files = _joined(encoded, job)
    _sum_up(result, done)
    if files.comparison is not None:
        result.lost.append(f"the comparison shows the first of {pages.count} pages")
    return files


def _joined(pages: Iterator[Files], job: Job) -> Files:
    """The files of all pages as those of one job; collected on the disk, not in memory."""
    folder = None if job.target == STANDARD else job.target.parent
    comparison = None
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            binder = Binder(file)
            for page in pages:
                binder.add(page.output)
                comparison = comparison or page.comparison
            file.flush()
            return Files(mmap(file.fileno(), 0, access=ACCESS_READ), comparison)
    except OSError as error:
        raise _not_collected(error, job) from error


def _not_collected(error: OSError, job: Job) -> UserError:
    """What the system says about the file in which pages are collected, and where that is."""
    problem = not_written(error)
    if job.target == STANDARD:
        return UserError(f"{tempfile.gettempdir()} {problem}; TMPDIR names another folder")
    return type(problem)(f"{job.prefix_for(job.target)}{problem}")


def _sum_up(result: Result, pages: list[Result]) -> None:
    """Sets a file's result from its pages'."""
    result.width, result.height = pages[0].width, pages[0].height
    result.pages, result.pixels = len(pages), sum(page.pixels for page in pages)
    result.seconds = sum(page.seconds for page in pages)
    result.facts = over_pages([(page.facts, page.pixels) for page in pages])
    where: dict[str, list[int]] = {}
    for number, page in enumerate(pages, 1):
        for line in page.lost:
            where.setdefault(line, []).append(number)
    for line, numbers in where.items():
        some = f"page{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}: "
        result.lost.append(line if len(numbers) == len(pages) else some + line)


def over_pages(pages: Sequence[tuple[Mapping[str, Any], int]]) -> dict[str, Any]:
    """The entries of ``--json`` for a file, from those of its pages with their pixels.

    ``change`` is over all pixels; for the others see :func:`baryir_cli.report.over_parts`.
    """
    joined = over_parts([of_page for of_page, _ in pages])
    if "change" in joined:
        squares = sum(entries["change"] ** 2 * pixels for entries, pixels in pages)
        joined["change"] = round((squares / sum(pixels for _, pixels in pages)) ** 0.5, 2)
    return joined
