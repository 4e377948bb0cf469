"""Training images in memory: decoded, cached up to a limit; unusable ones are noted."""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import get_worker_info

from models.light import Pixels

# OpenCV's thread pool does not survive the fork of a loader's worker, and patches need none.
cv2.setNumThreads(1)
# OpenCV would print its errors across the panel, and returns them anyway. Version 5 moved this.
_log: Any = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
_log.setLogLevel(0)


class Reason(Enum):
    """Why an image cannot be used."""

    UNOPENED = "cannot be opened"
    CUT_OFF = "is cut off"
    UNDECODED = "is not an image that can be decoded"
    UNEQUAL = "differs in size from its partner"


REASONS = tuple(Reason)


class UnusableError(Exception):
    """An image that cannot be used."""

    def __init__(self, path: Path, reason: Reason) -> None:
        super().__init__(f"{path} {reason.value}")
        self.path = path
        self.reason = reason


def decode(path: Path) -> Pixels:
    """An image file as 8-bit RGB, upright; transparency is dropped.

    Raises:
        UnusableError: it cannot be read, or not completely.
    """
    try:
        data = path.read_bytes()
    except OSError:
        raise UnusableError(path, Reason.UNOPENED) from None
    if not _ends(data):
        raise UnusableError(path, Reason.CUT_OFF)
    try:
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        stored = None
    if stored is None:
        raise UnusableError(path, Reason.UNDECODED)
    return np.asarray(cv2.cvtColor(stored, cv2.COLOR_BGR2RGB), np.uint8)


def _ends(data: bytes) -> bool:
    """Whether a file is complete.

    OpenCV 4 fills the missing part of a cut-off JPEG with grey, and libpng prints its error.
    """
    if data.startswith(b"\x89PNG"):
        return b"IEND" in data
    place = 2
    while data.startswith(b"\xff\xd8") and data[place : place + 1] == b"\xff":
        if data[place + 1 : place + 2] == b"\xda":
            return data.find(b"\xff\xd9", place) > 0
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return True


class ImageCache:
    """Decoded images; beyond a number of bytes, the least recently used are dropped.

    Args:
        limit: bytes for all processes of this machine together. A loader's workers and the
            processes that ``torchrun`` started take equal shares. The image read last always stays.
    """

    def __init__(self, limit: int = 2 << 30) -> None:
        self.limit = limit
        self.size = 0
        self._images: OrderedDict[Path, Pixels] = OrderedDict()
        self._unusable: dict[Path, Reason] = {}

    def read(self, path: Path) -> Pixels:
        """The decoded image.

        Raises:
            UnusableError: it cannot be decoded; this is tried only once.
        """
        if path in self._images:
            self._images.move_to_end(path)
            return self._images[path]
        if path in self._unusable:
            raise UnusableError(path, self._unusable[path])
        try:
            image = decode(path)
        except UnusableError as error:
            self._unusable[path] = error.reason
            raise
        self._images[path] = image
        self.size += image.nbytes
        share = self.limit // _processes()
        while self.size > share and len(self._images) > 1:
            self.size -= self._images.popitem(last=False)[1].nbytes
        return image


def _processes() -> int:
    """The number of processes on this machine that read training images."""
    worker = get_worker_info()
    trainers = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return trainers * (1 if worker is None else worker.num_workers)


class Skipped:
    """The images that turned out unusable, shared by a loader's workers and its owner.

    One byte per image in shared memory: workers write it, the process that created it reads it.

    Args:
        paths: all images.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._numbers = {path: number for number, path in enumerate(dict.fromkeys(paths))}
        self._paths = list(self._numbers)
        self._marks = torch.zeros(max(len(self._paths), 1), dtype=torch.uint8).share_memory_()

    def add(self, error: UnusableError) -> None:
        """Notes an image; any process may call this."""
        self._marks[self._numbers[error.path]] = 1 + REASONS.index(error.reason)

    def __len__(self) -> int:
        return int(self._marks.count_nonzero())

    def reasons(self) -> dict[Path, str]:
        """Every image skipped so far, with the reason."""
        return {
            self._paths[number]: REASONS[int(self._marks[number]) - 1].value
            for number in self._marks.nonzero().flatten().tolist()
        }

    def lines(self) -> list[str]:
        """The same as lines of text."""
        return [f"{path} {why}" for path, why in self.reasons().items()]


def crop(
    rng: np.random.Generator,
    images: Sequence[Pixels],
    size: int,
    zoom: float = 1.0,
    *,
    upright: bool = False,
) -> list[Pixels]:
    """The same random square of every image, rotated and mirrored alike.

    Images smaller than ``size`` are first extended by reflection.

    Args:
        size: side of the result, in pixels.
        zoom: the square is up to this many times as wide, if the image is large enough, and is
            shrunk to ``size``; the factor is drawn log-uniformly.
        upright: only mirror the square, so that the sky stays on top.
    """
    height, width = images[0].shape[:2]
    reach = min(zoom, min(height, width) / size)
    if reach > 1:
        side = round(size * math.exp(rng.uniform(0, math.log(reach))))
        wide = crop(rng, images, side, upright=upright)
        small = (cv2.resize(i, (size, size), interpolation=cv2.INTER_AREA) for i in wide)
        return [np.asarray(i, np.uint8) for i in small]
    if height < size or width < size:
        bottom, right = max(size - height, 0), max(size - width, 0)
        images = [
            np.asarray(cv2.copyMakeBorder(i, 0, bottom, 0, right, cv2.BORDER_REFLECT), np.uint8)
            for i in images
        ]
        height, width = images[0].shape[:2]
    top, left = rng.integers(0, height - size + 1), rng.integers(0, width - size + 1)
    turns, mirror = int(rng.integers(4)) * (not upright), rng.integers(2)
    patches = []
    for image in images:
        patch = np.rot90(image[top : top + size, left : left + size], turns)
        patches.append(np.ascontiguousarray(patch[:, ::-1] if mirror else patch))
    return patches
