"""Loads the images of a set: decodes, degrades and checks that their sizes match."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baryir_cli.benches.degrade import Degradation
from baryir_cli.benches.find import Item
from baryir_cli.errors import UserError
from baryir_cli.evaluation.journal import checksum
from baryir_cli.images import ImageError, read_photo
from baryir_cli.images.colour import eight_bits
from models.light import Pixels


@dataclass(frozen=True)
class Loaded:
    """Pixels of an item, ``(H, W, 3)`` uint8 RGB."""

    name: str
    degraded: Pixels | None
    target: Pixels | None
    restored: Pixels | None
    """What another program made of it."""

    @property
    def shown(self) -> Pixels:
        """Any of the images; all have the same size."""
        return next(p for p in (self.degraded, self.restored, self.target) if p is not None)

    def checksums(self) -> dict[str, int]:
        """Checksums of the images that restoration and scores depend on."""
        pixels = {"input": self.degraded, "target": self.target}
        return {kind: checksum(p) for kind, p in pixels.items() if p is not None}


def load(item: Item, degradation: Degradation | None) -> Loaded:
    """Decodes an item.

    Raises:
        UserError: a file cannot be read, or sizes differ; the message names the files.
    """
    target = _read(item.target)
    degraded = _read(item.degraded)
    if degradation is not None and target is not None:
        degraded = degradation(target, item.name)
    restored = _read(item.restored)
    for path, pixels in ((item.degraded, degraded), (item.restored, restored)):
        if path is not None and pixels is not None and target is not None:
            _check_sizes(path, pixels, item.target, target)
    return Loaded(item.name, degraded, target, restored)


def _read(path: Path | None) -> Pixels | None:
    if path is None:
        return None
    try:
        pixels = read_photo(path).pixels
    except ImageError as error:
        raise UserError(f"{path} {error}") from None
    return eight_bits(pixels) if pixels.dtype == np.uint16 else pixels


def _check_sizes(path: Path, pixels: Pixels, partner: Path | None, target: Pixels) -> None:
    if pixels.shape != target.shape:
        first, second = (f"{p.shape[1]} x {p.shape[0]}" for p in (pixels, target))
        raise UserError(f"{path} and {partner} differ in size: {first} and {second}")
