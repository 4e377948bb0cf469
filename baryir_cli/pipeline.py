"""Decodes, works and encodes at the same time; a failing image does not stop the others."""

from __future__ import annotations

import math
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from baryir_cli.atomic import NameTooLongError, write_atomically
from baryir_cli.errors import UserError
from baryir_cli.images import (
    Photo,
    encode_photo,
    losses,
    read_photo,
    with_pixels,
)
from baryir_cli.images.colour import eight_bits, on_white
from baryir_cli.memory import return_freed_memory
from baryir_cli.overlap import WORKERS, overlap
from baryir_cli.plan import STANDARD, Job

PIXELS_AHEAD = 48_000_000
"""Pixels that may wait, decoded or not yet written, besides the current image's."""
LARGE = 64 << 20
"""Bytes of pixels from which on freed memory is returned after decoding and after the work."""

Read = tuple[Photo, list[str]]
"""A photograph, and what was lost from its file."""
Progress = Callable[[Job, float], None]
Work = Callable[[Job, Photo, Callable[[float], None]], tuple[np.ndarray, dict[str, Any]]]
"""Makes a photograph's new pixels and the entries for its line of ``--json``; reports progress."""


@dataclass(frozen=True)
class Options:
    """Options for every image of a run."""

    format: str | None
    quality: int | None
    max_megapixels: float


@dataclass
class Result:
    """What became of one image."""

    job: Job
    status: Literal["done", "skipped", "failed"]
    width: int = 0
    height: int = 0
    """Of the upright image; 0 until it is read."""
    seconds: float = 0.0
    """Of the work alone; decoding and encoding run beside it."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the work reports."""
    lost: list[str] = field(default_factory=list)
    """What could not be kept, one line each."""
    error: str = ""
    details: str = ""
    """The traceback of an unforeseen failure."""

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
            "seconds": round(self.seconds, 4),
            "lost": self.lost,
            **otherwise,
            **self.facts,
        }


@dataclass
class _Worked:
    """A job after the work on it, with what is to be written."""

    result: Result
    changed: Photo | None = None
    before: Photo | None = None
    """The original photograph, if both are to be shown."""


def run(jobs: Sequence[Job], work: Work, options: Options, progress: Progress) -> Iterator[Result]:
    """Does every job; a failure is a result, and the next image follows.

    The work runs in the caller's thread. Other threads decode the next images and write the last
    ones, as many as :data:`PIXELS_AHEAD` allows, judged by the last image's size.
    """
    ahead = 1

    def do(source: tuple[Job, list[Path | bytes]], future: Future[Read]) -> _Worked:
        nonlocal ahead
        worked = _do(source[0], future, work, progress)
        if worked.changed is not None:
            ahead = _ahead(worked.result)
        return worked

    yield from overlap(
        ((job, [_data(job)]) for job in jobs),
        # Popped, so that bytes from standard input are freed once decoded.
        lambda source: _read(source[1].pop(), options.max_megapixels),
        do,
        lambda worked: _written(worked, options),
        lambda: ahead,
    )


def _ahead(last: Result) -> int:
    return int(np.clip(PIXELS_AHEAD / (last.width * last.height), 1, WORKERS))


def _data(job: Job) -> Path | bytes:
    """What a thread is to decode; standard input is read here, where Ctrl-C works."""
    return sys.stdin.buffer.read() if job.source == STANDARD else job.source


def _read(source: Path | bytes, max_megapixels: float) -> Read:
    with losses() as lost:
        return read_photo(source, max_megapixels=max_megapixels), lost


def _do(job: Job, future: Future[Read], work: Work, progress: Progress) -> _Worked:
    result = Result(job, "done")
    try:
        if job.problem:
            raise UserError(job.problem)
        photo, result.lost = future.result()
        result.height, result.width = photo.pixels.shape[:2]
        _give_back(photo)
        started = time.perf_counter()
        pixels, result.facts = work(job, photo, lambda share: progress(job, share))
        result.seconds = time.perf_counter() - started
        _give_back(photo)
        changed = with_pixels(photo, pixels)
        return _Worked(result, changed, photo if job.comparison is not None else None)
    except Exception as error:
        return _Worked(_failed(result, error))


def _give_back(photo: Photo) -> None:
    if photo.pixels.nbytes > LARGE:
        return_freed_memory()


def _written(worked: _Worked, options: Options) -> Result:
    """The result, once the job's files are on the disk."""
    result = worked.result
    try:
        if worked.changed is not None:
            _write(result, worked.before, worked.changed, options)
    except Exception as error:
        _failed(result, error)
    return result


def _failed(result: Result, error: Exception) -> Result:
    result.status = "failed"
    if isinstance(error, UserError):
        result.error = str(error)
    elif isinstance(error, OSError):
        result.error = error.strerror or str(error)
    else:
        result.error = f"{type(error).__name__}: {error}".splitlines()[0]
        result.details = "".join(traceback.format_exception(error))
    return result


def _write(result: Result, photo: Photo | None, changed: Photo, options: Options) -> None:
    """Writes a job's files and notes what was lost."""
    job = result.job
    with losses() as lost:
        data = encode_photo(changed, job.format(options.format), options.quality)
    result.lost += lost
    if job.target == STANDARD:
        to_standard_output(data)
        return
    if photo is not None and job.comparison is not None:
        try:
            write_atomically(job.comparison, _side_by_side(photo, _as_saved(data)))
        except NameTooLongError as error:
            # The photograph's own name is shorter.
            result.lost.append(f"the comparison {error}")
            result.job = replace(job, comparison=None)
    # The output last, so that whatever --skip-existing finds is complete.
    write_atomically(job.target, data)


def to_standard_output(data: bytes) -> None:
    """Writes all of it at once."""
    left = memoryview(data)
    while left:  # unbuffered (PYTHONUNBUFFERED), write takes what fits and says how much that was
        left = left[sys.stdout.buffer.write(left) :]
    sys.stdout.buffer.flush()


def _as_saved(data: bytes) -> Photo:
    """What an output shows after its format has changed the picture."""
    return read_photo(data, max_megapixels=math.inf)


def _side_by_side(photo: Photo, saved: Photo) -> bytes:
    """Input left, output right, on white, as a JPEG; shrunk if a JPEG could not hold it."""
    # Imported here because only --compare needs them.
    import cv2

    from train.degradations.compression import WIDEST

    left, right = _on_paper(photo), _on_paper(saved)
    gap = np.full((left.shape[0], 8, 3), 255, np.uint8)
    both = np.concatenate([left, gap, right], 1)
    if (share := WIDEST / max(both.shape[:2])) < 1:
        size = [max(1, int(side * share)) for side in both.shape[1::-1]]
        both = np.asarray(cv2.resize(both, size, interpolation=cv2.INTER_AREA))
    # CMYK was converted to sRGB, which its profile does not describe.
    layout, icc = ("rgb", None) if photo.layout == "cmyk" else (photo.layout, photo.icc)
    return encode_photo(Photo(both, None, "jpeg", layout, icc=icc), "jpeg", 92)


def _on_paper(photo: Photo) -> np.ndarray:
    """``(H, W, 3)`` uint8 on white, as a JPEG holds it."""
    pixels = photo.pixels if photo.alpha is None else on_white(photo.pixels, photo.alpha)
    return pixels if pixels.dtype == np.uint8 else eight_bits(pixels)
