"""Training images in memory: decoded, cached within a bound, the unusable ones told apart."""

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
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

Pixels = NDArray[np.uint8]
"""``(H, W, 3)`` RGB."""

# Threads of OpenCV's pool do not survive the fork of a loader's worker, and a patch needs none.
cv2.setNumThreads(1)
# It prints what it returns as an error anyway, across the panel. OpenCV 5 has moved the switch.
_log: Any = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
_log.setLogLevel(0)


class Reason(Enum):
    """Why no sample can be made of an image."""

    UNOPENED = "cannot be opened"
    CUT_OFF = "is cut off"
    UNDECODED = "is not an image that can be decoded"
    UNEQUAL = "differs in size from its partner"


REASONS = tuple(Reason)


class UnusableError(Exception):
    """An image that no sample can be made of."""

    def __init__(self, path: Path, reason: Reason) -> None:
        super().__init__(f"{path} {reason.value}")
        self.path = path
        self.reason = reason


def decode(path: Path) -> Pixels:
    """An image file as 8-bit RGB, upright; transparency is dropped.

    Raises:
        UnusableError: it cannot be read, or not as a whole.
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
    """False of a JPEG without its end marker: OpenCV 4 fills what is missing with grey."""
    place = 2
    while data.startswith(b"\xff\xd8") and data[place : place + 1] == b"\xff":
        if data[place + 1 : place + 2] == b"\xda":
            return data.find(b"\xff\xd9", place) > 0
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return True


class ImageCache:
    """Decoded images, the least recently used dropped beyond a number of bytes.

    Args:
        limit: bytes of all processes of this machine together: the workers of a loader, and the
            processes that ``torchrun`` started, take equal shares. The image that was read last
            stays, whatever its size.
    """

    def __init__(self, limit: int = 2 << 30) -> None:
        self.limit = limit
        self.size = 0
        self._images: OrderedDict[Path, Pixels] = OrderedDict()
        self._unusable: dict[Path, Reason] = {}

    def read(self, path: Path) -> Pixels:
        """The decoded image.

        Raises:
            UnusableError: it cannot be decoded; that is tried once.
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
    """Processes of this machine that read training images as this one does."""
    worker = get_worker_info()
    trainers = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return trainers * (1 if worker is None else worker.num_workers)


class Skipped:
    """The images that turned out unusable, known to all workers of a loader and to its owner.

    A byte an image in shared memory: workers write, the process that made it reads.

    Args:
        paths: all images there are.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._numbers = {path: number for number, path in enumerate(dict.fromkeys(paths))}
        self._paths = list(self._numbers)
        self._marks = torch.zeros(max(len(self._paths), 1), dtype=torch.uint8).share_memory_()

    def add(self, error: UnusableError) -> None:
        """Notes an image, from whatever process."""
        self._marks[self._numbers[error.path]] = 1 + REASONS.index(error.reason)

    def __len__(self) -> int:
        return int(self._marks.count_nonzero())

    def reasons(self) -> dict[Path, str]:
        """Every image skipped so far, and why."""
        return {
            self._paths[number]: REASONS[int(self._marks[number]) - 1].value
            for number in self._marks.nonzero().flatten().tolist()
        }

    def lines(self) -> list[str]:
        """The same, a line for each."""
        return [f"{path} {why}" for path, why in self.reasons().items()]


def crop(
    rng: np.random.Generator,
    images: Sequence[Pixels],
    size: int,
    zoom: float = 1.0,
    *,
    upright: bool = False,
) -> list[Pixels]:
    """The same random square of every image, turned and mirrored alike.

    Images smaller than ``size`` are mirrored outwards first.

    Args:
        size: side of what is returned, in pixels.
        zoom: the square is up to so many times as wide, by a factor drawn evenly in the logarithm
            as far as the image reaches, and is shrunk to ``size``.
        upright: the square is mirrored, but not turned: a sky stays above.
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
