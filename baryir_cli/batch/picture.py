"""One picture, the only one of its file or a page: read, worked on, encoded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np

from baryir_cli.batch.comparison import side_by_side
from baryir_cli.batch.results import Result
from baryir_cli.files.jobs import Job, Options
from baryir_cli.images import Photo, encode_photo, losses, read_photo, with_pixels
from baryir_cli.memory import return_freed_memory
from baryir_cli.stages import WORKERS

PIXELS_AHEAD = 48_000_000
"""Pixels that may wait, decoded or not yet written, besides the current image's."""

Read = tuple[Photo, list[str]]
"""A photograph, and what was lost from its file."""
Work = Callable[[Job, Photo, Callable[[float], None]], tuple[np.ndarray, dict[str, Any]]]
"""Makes a photograph's new pixels and the entries for its line of ``--json``; reports progress."""


@dataclass
class Files:
    """What a job writes."""

    output: bytes | mmap
    comparison: bytes | None


Encode = Callable[[], Files]
"""Encodes in another thread, and notes what is lost."""


def room_ahead(last: Result) -> int:
    """How many pictures of that size may wait, decoded, and as many not yet written."""
    return int(np.clip(PIXELS_AHEAD / (last.width * last.height), 1, WORKERS))


def read(source: Path | bytes, page: int, max_megapixels: float) -> Read:
    """Decodes a picture; raises ImageError."""
    with losses() as lost:
        return read_photo(source, page=page, max_megapixels=max_megapixels), lost


def do_picture(
    result: Result, opened: Read, work: Work, options: Options, progress: Callable[[float], None]
) -> Encode:
    """Works on a picture, and sets the result of its file or page."""
    job = result.job
    photo, result.lost = opened
    result.height, result.width = photo.pixels.shape[:2]
    result.pages, result.pixels = 1, result.width * result.height
    return_freed_memory(photo.pixels.nbytes)
    started = time.perf_counter()
    pixels, result.facts = work(job, photo, progress)
    result.seconds = time.perf_counter() - started
    return_freed_memory(photo.pixels.nbytes)
    changed = with_pixels(photo, pixels)
    before = photo if job.comparison is not None and photo.page == 0 else None
    return lambda: _encoded(changed, before, result, options)


def _encoded(changed: Photo, before: Photo | None, result: Result, options: Options) -> Files:
    with losses() as lost:
        output = encode_photo(changed, result.job.format(options.format), options.quality)
    result.lost += lost
    return Files(output, side_by_side(before, output) if before is not None else None)
