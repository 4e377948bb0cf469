"""Decodes, works and encodes at the same time; a failing image does not stop the others."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from mmap import mmap
from pathlib import Path

from baryir_cli.batch.pages import Pages, do_pages
from baryir_cli.batch.picture import Encode, Files, Read, Work, do_picture, read, room_ahead
from baryir_cli.batch.results import Result
from baryir_cli.errors import UserError
from baryir_cli.files.atomic import DiskFullError, ExistsError, NameTooLongError, write_atomically
from baryir_cli.files.jobs import STANDARD, Job, Options
from baryir_cli.images import count_pages
from baryir_cli.shell import stdout
from baryir_cli.stages import in_stages

Progress = Callable[[Job, float], None]
"""Told the share of a job that is done."""


@dataclass
class _Drawn:
    """A job whose turn has come."""

    job: Job
    data: list[Path | bytes]
    """What is to be decoded: popped, so that bytes from standard input are freed once decoded."""


@dataclass
class _Worked:
    """A job after the work on it; ``encode`` is None after a failure."""

    result: Result
    encode: Encode | None = None


def run(jobs: Sequence[Job], work: Work, options: Options, progress: Progress) -> Iterator[Result]:
    """Does every job; a failure is a result, and the next image follows.

    The work runs in the caller's thread. Other threads decode the next images and write the last
    ones, as many as :data:`baryir_cli.batch.picture.PIXELS_AHEAD` allows, judged by the last
    image's size.

    With ``skip_existing``, several processes can share the jobs. Where one meets another's output,
    it goes on in random order, or both would do the same images side by side to the end.

    Raises:
        DiskFullError: an image could not be written for that, and others would follow.
    """
    ahead = 1
    waiting = [*reversed(jobs)]
    alone = True
    full = False

    def drawn() -> Iterator[_Drawn]:
        while waiting:
            job = waiting.pop()
            yield _Drawn(job, [_data(job)])

    def do(drawn: _Drawn, future: Future[Read | Pages]) -> _Worked:
        nonlocal ahead
        if full:
            raise DiskFullError("stopped because the disk is full")
        if options.may_skip(drawn.job):
            return _Worked(Result(drawn.job, "skipped"))
        worked = _do(drawn.job, future, work, options, progress)
        if worked.encode is not None:
            ahead = room_ahead(worked.result)
        return worked

    def written(worked: _Worked) -> Result:
        nonlocal full
        result = _written(worked, options)
        full = full or result.disk_full
        return result

    for result in in_stages(
        drawn(),
        lambda drawn: _opened(drawn.data.pop(), options.max_megapixels),
        do,
        written,
        lambda: ahead,
    ):
        if alone and result.status == "skipped":
            alone = False
            random.shuffle(waiting)
        yield result


def _data(job: Job) -> Path | bytes:
    """What a thread is to decode; standard input is read here, where Ctrl-C works."""
    return sys.stdin.buffer.read() if job.source == STANDARD else job.source


def _opened(source: Path | bytes, max_megapixels: float) -> Read | Pages:
    count = count_pages(source, max_megapixels=max_megapixels)
    return Pages(source, count) if count > 1 else read(source, 0, max_megapixels)


def _do(
    job: Job, future: Future[Read | Pages], work: Work, options: Options, progress: Progress
) -> _Worked:
    result = Result(job, "done")

    def so_far(share: float) -> None:
        progress(job, share)

    try:
        if job.problem:
            raise UserError(job.problem)
        opened = future.result()
        if isinstance(opened, Pages):
            files = do_pages(result, opened, work, options, so_far)
            return _Worked(result, lambda: files)
        return _Worked(result, do_picture(result, opened, work, options, so_far))
    except Exception as error:
        result.fail(error)
        return _Worked(result)


def _written(worked: _Worked, options: Options) -> Result:
    """The result, once the job's files are on the disk."""
    result = worked.result
    try:
        if worked.encode is not None:
            _write(result, worked.encode(), options)
    except Exception as error:
        if isinstance(error, ExistsError) and options.skip_existing:
            return Result(result.job, "skipped")
        result.fail(error)
    return result


def _write(result: Result, files: Files, options: Options) -> None:
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
