"""Decodes, works and encodes at the same time; a failing image does not stop the others."""

from __future__ import annotations

import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field, replace
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Literal

import numpy as np

from baryir_cli import stdout
from baryir_cli.atomic import (
    DiskFullError,
    ExistsError,
    NameTooLongError,
    not_written,
    write_atomically,
)
from baryir_cli.comparison import side_by_side
from baryir_cli.errors import UserError
from baryir_cli.images import (
    Binder,
    Photo,
    TooLargeError,
    count_pages,
    encode_photo,
    losses,
    naming_page,
    read_photo,
    with_pixels,
)
from baryir_cli.jobs import STANDARD, Job, Options
from baryir_cli.libtiff import silence_libtiff
from baryir_cli.memory import return_freed_memory
from baryir_cli.overlap import WORKERS, overlap
from baryir_cli.report import over_pages

PIXELS_AHEAD = 48_000_000
"""Pixels that may wait, decoded or not yet written, besides the current image's."""
LARGE = 64 << 20
"""Bytes of pixels from which on freed memory is returned after decoding and after the work."""

Read = tuple[Photo, list[str]]
"""A photograph, and what was lost from its file."""
Progress = Callable[[Job, float], None]
Work = Callable[[Job, Photo, Callable[[float], None]], tuple[np.ndarray, dict[str, Any]]]
"""Makes a photograph's new pixels and the entries for its line of ``--json``; reports progress."""


@dataclass
class Result:
    """What became of one image."""

    job: Job
    status: Literal["done", "skipped", "failed"]
    width: int = 0
    height: int = 0
    """Of the upright image, or the first page; 0 until it is read."""
    seconds: float = 0.0
    """Of the work alone, 0 until it is done; decoding and encoding run beside it."""
    pages: int = 0
    pixels: int = 0
    """Of all pages."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the work reports."""
    lost: list[str] = field(default_factory=list)
    """What could not be kept, one line each."""
    error: str = ""
    details: str = ""
    """The traceback of an unforeseen failure."""
    disk_full: bool = False
    """Whether this is why it failed."""
    too_large: bool = False
    """Whether it failed because it has more pixels than ``max_megapixels`` allows."""

    def to_dict(self, otherwise: Mapping[str, Any]) -> dict[str, Any]:
        """One line of ``--json``.

        Args:
            otherwise: facts for an image that was not worked on.
        """
        comparison = self.job.comparison if self.status == "done" else None
        return {
            "status": self.status,
            "input": str(self.job.source),
            "output": str(self.job.target),
            "comparison": str(comparison) if comparison else None,
            "error": self.error or None,
            "width": self.width or None,
            "height": self.height or None,
            "pages": self.pages or None,
            "seconds": round(self.seconds, 4) if self.seconds else None,
            "lost": self.lost,
            **otherwise,
            **self.facts,
        }


@dataclass
class _Pages:
    """A file of several pages, which are decoded one by one."""

    source: Path | bytes
    count: int


@dataclass
class _Files:
    """What a job writes."""

    output: bytes | mmap
    comparison: bytes | None


_Encode = Callable[[], _Files]
"""Encodes in another thread, and notes what is lost."""


@dataclass
class _Worked:
    """A job after the work on it; ``encode`` is None after a failure."""

    result: Result
    encode: _Encode | None = None


def run(jobs: Sequence[Job], work: Work, options: Options, progress: Progress) -> Iterator[Result]:
    """Does every job; a failure is a result, and the next image follows.

    The work runs in the caller's thread. Other threads decode the next images and write the last
    ones, as many as :data:`PIXELS_AHEAD` allows, judged by the last image's size.

    With ``skip_existing``, several processes can share the jobs. Where one meets another's output,
    it goes on in random order, or both would do the same images side by side to the end.

    Raises:
        DiskFullError: an image could not be written for that, and others would follow.
    """
    ahead = 1
    waiting = [*reversed(jobs)]
    alone = True
    full = False

    def do(source: tuple[Job, list[Path | bytes]], future: Future[Read | _Pages]) -> _Worked:
        nonlocal ahead
        if full:
            raise DiskFullError("stopped because the disk is full")
        if options.may_skip(source[0]):
            return _Worked(Result(source[0], "skipped"))
        worked = _do(source[0], future, work, options, progress)
        if worked.encode is not None:
            ahead = _ahead(worked.result)
        return worked

    def written(worked: _Worked) -> Result:
        nonlocal full
        result = _written(worked, options)
        full = full or result.disk_full
        return result

    def drawn() -> Iterator[tuple[Job, list[Path | bytes]]]:
        while waiting:
            job = waiting.pop()
            yield job, [_data(job)]

    for result in overlap(
        drawn(),
        # Popped, so that bytes from standard input are freed once decoded.
        lambda source: _opened(source[1].pop(), options.max_megapixels),
        do,
        written,
        lambda: ahead,
    ):
        if alone and result.status == "skipped":
            alone = False
            random.shuffle(waiting)
        yield result


def _ahead(last: Result) -> int:
    return int(np.clip(PIXELS_AHEAD / (last.width * last.height), 1, WORKERS))


def _data(job: Job) -> Path | bytes:
    """What a thread is to decode; standard input is read here, where Ctrl-C works."""
    return sys.stdin.buffer.read() if job.source == STANDARD else job.source


def _opened(source: Path | bytes, max_megapixels: float) -> Read | _Pages:
    count = count_pages(source, max_megapixels=max_megapixels)
    return _Pages(source, count) if count > 1 else _read(source, 0, max_megapixels)


def _read(source: Path | bytes, page: int, max_megapixels: float) -> Read:
    silence_libtiff()
    with losses() as lost:
        return read_photo(source, page=page, max_megapixels=max_megapixels), lost


def _do(
    job: Job, future: Future[Read | _Pages], work: Work, options: Options, progress: Progress
) -> _Worked:
    result = Result(job, "done")
    try:
        if job.problem:
            raise UserError(job.problem)
        opened = future.result()
        if isinstance(opened, _Pages):
            files = _do_pages(result, opened, work, options, progress)
            return _Worked(result, lambda: files)
        encode = _do_photo(result, opened, work, options, lambda share: progress(job, share))
        return _Worked(result, encode)
    except Exception as error:
        return _Worked(_failed(result, error))


def _do_photo(
    result: Result, read: Read, work: Work, options: Options, progress: Callable[[float], None]
) -> _Encode:
    job = result.job
    photo, result.lost = read
    result.height, result.width = photo.pixels.shape[:2]
    result.pages, result.pixels = 1, result.width * result.height
    _give_back(photo)
    started = time.perf_counter()
    pixels, result.facts = work(job, photo, progress)
    result.seconds = time.perf_counter() - started
    _give_back(photo)
    changed = with_pixels(photo, pixels)
    before = photo if job.comparison is not None and photo.page == 0 else None
    return lambda: _encoded(changed, before, result, options)


def _do_pages(
    result: Result, file: _Pages, work: Work, options: Options, progress: Progress
) -> _Files:
    """Does every page by itself and joins them; raises at the first that fails."""
    job = result.job
    if (name := job.format(options.format)) not in ("tiff", None):
        raise UserError(
            f"has {file.count} pages, but a {str(name).upper()} holds one; write a TIFF, or split "
            "it into one file each"
        )
    done: list[Result] = []

    def do(number: int, future: Future[Read]) -> _Encode:
        def so_far(share: float) -> None:
            progress(job, (number + share) / file.count)

        done.append(Result(job, "done"))
        with naming_page(number):
            return _do_photo(done[-1], future.result(), work, options, so_far)

    pages = overlap(
        range(file.count),
        lambda number: _read(file.source, number, options.max_megapixels),
        do,
        lambda encode: encode(),
        lambda: _ahead(done[-1]) if done else 1,
    )
    with closing(pages):
        try:
            files = _joined(pages, None if job.target == STANDARD else job.target.parent)
        except OSError as error:
            problem = not_written(error)
            if job.target == STANDARD:
                full = f"{tempfile.gettempdir()} {problem}; TMPDIR names another folder"
                raise UserError(full) from error
            raise type(problem)(f"{job.prefix_for(job.target)}{problem}") from error
    _sum_up(result, done)
    if files.comparison is not None:
        result.lost.append(f"the comparison shows the first of {file.count} pages")
    return files


def _joined(pages: Iterator[_Files], folder: Path | None) -> _Files:
    """The files of all pages as those of one job; collected in ``folder``, not in memory."""
    comparison = None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        binder = Binder(file)
        for page in pages:
            binder.add(page.output)
            comparison = comparison or page.comparison
        file.flush()
        return _Files(mmap(file.fileno(), 0, access=ACCESS_READ), comparison)


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


def _encoded(changed: Photo, before: Photo | None, result: Result, options: Options) -> _Files:
    with losses() as lost:
        output = encode_photo(changed, result.job.format(options.format), options.quality)
    result.lost += lost
    return _Files(output, side_by_side(before, output) if before is not None else None)


def _give_back(photo: Photo) -> None:
    if photo.pixels.nbytes > LARGE:
        return_freed_memory()


def _written(worked: _Worked, options: Options) -> Result:
    """The result, once the job's files are on the disk."""
    result = worked.result
    try:
        if worked.encode is not None:
            _write(result, worked.encode(), options)
    except ExistsError as error:
        return Result(result.job, "skipped") if options.skip_existing else _failed(result, error)
    except Exception as error:
        _failed(result, error)
    return result


def _failed(result: Result, error: Exception) -> Result:
    result.status = "failed"
    result.disk_full = isinstance(error, DiskFullError)
    result.too_large = isinstance(error, TooLargeError)
    if isinstance(error, UserError):
        result.error = str(error)
    elif isinstance(error, OSError):
        result.error = error.strerror or str(error)
    else:
        result.error = f"{type(error).__name__}: {error}".splitlines()[0]
        result.details = "".join(traceback.format_exception(error))
    return result


def _write(result: Result, files: _Files, options: Options) -> None:
    """Writes a job's files and notes what was lost."""
    job = result.job
    if job.target == STANDARD:
        stdout.write_bytes(files.output)
        return
    if job.comparison is not None and files.comparison is not None:
        try:
            _put(job.comparison, files.comparison, job, options)
        except (NameTooLongError, ExistsError) as error:
            # It costs no photograph; that one's own name is shorter.
            result.lost.append(f"the comparison {error}")
            result.job = replace(job, comparison=None)
    # The output last, so that whatever --skip-existing finds is complete.
    _put(job.target, files.output, job, options)


def _put(path: Path, data: bytes | mmap, job: Job, options: Options) -> None:
    """Writes a file of a job; errors name it."""
    try:
        write_atomically(path, data, overwrite=options.may_replace(path, job))
    except UserError as error:
        raise type(error)(f"{job.prefix_for(path)}{error}") from error
