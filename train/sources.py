"""Training sources: where degraded patches and their targets come from.

A source is one degradation type k of the barycenter problem. Every sample is drawn from its own
seeded generator, so that sample ``i`` of a run is the same on every machine and after a resume.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from train import degradations
from train.degradations import Image
from train.pairs import SourceError, find_folder, image_files, match_pairs

BLUR_MARGIN = 16
"""Pixels around a patch that a blur kernel may reach."""

Pixels = NDArray[np.uint8]
Pair = tuple[Pixels, Pixels]


class ImageCache:
    """Decoded RGB images, the least recently used dropped beyond ``limit`` bytes."""

    def __init__(self, limit: int = 2 << 30) -> None:
        self.limit = limit
        self.size = 0
        self._images: OrderedDict[Path, Pixels] = OrderedDict()

    def read(self, path: Path) -> Pixels:
        if path in self._images:
            self._images.move_to_end(path)
            return self._images[path]
        stored = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if stored is None:
            raise SourceError(f"{path} is not an image that can be read")
        image = np.asarray(cv2.cvtColor(stored, cv2.COLOR_BGR2RGB), np.uint8)
        self._images[path] = image
        self.size += image.nbytes
        while self.size > self.limit and len(self._images) > 1:
            self.size -= self._images.popitem(last=False)[1].nbytes
        return image


Draw = Callable[[np.random.Generator, int, ImageCache], Pair]


@dataclass(frozen=True)
class Source:
    """One degradation type: a name, how many images stand behind it, how to draw a pair."""

    name: str
    count: int
    origin: str
    draw: Draw = field(repr=False)


def crop(rng: np.random.Generator, images: Sequence[Pixels], size: int) -> list[Pixels]:
    """The same random square of every image, turned and mirrored alike.

    Images smaller than ``size`` are mirrored outwards first.
    """
    height, width = images[0].shape[:2]
    if height < size or width < size:
        bottom, right = max(size - height, 0), max(size - width, 0)
        images = [
            np.asarray(cv2.copyMakeBorder(i, 0, bottom, 0, right, cv2.BORDER_REFLECT), np.uint8)
            for i in images
        ]
        height, width = images[0].shape[:2]
    top, left = rng.integers(0, height - size + 1), rng.integers(0, width - size + 1)
    turns, mirror = int(rng.integers(4)), rng.integers(2)
    patches = []
    for image in images:
        patch = np.rot90(image[top : top + size, left : left + size], turns)
        patches.append(np.ascontiguousarray(patch[:, ::-1] if mirror else patch))
    return patches


def synthetic(
    name: str,
    clean: Sequence[Path],
    degrade: Callable[[Image, np.random.Generator], Image],
    *,
    margin: int = 0,
    clean_share: float = 0.0,
) -> Source:
    """Clean photographs and a model of the degradation; a share of the pairs stays clean."""

    def draw(rng: np.random.Generator, size: int, cache: ImageCache) -> Pair:
        image = cache.read(clean[int(rng.integers(len(clean)))])
        (patch,) = crop(rng, [image], size + 2 * margin)
        inner = slice(margin, margin + size)
        target = patch[inner, inner]
        if rng.random() < clean_share:
            return target, target
        degraded = degrade(patch.astype(np.float32) / np.float32(255), rng)
        return degradations.quantise(degraded[inner, inner]), target

    return Source(name, len(clean), f"{len(clean)} clean photographs", draw)


def paired(name: str, pairs: Sequence[tuple[Path, Path]], origin: Path) -> Source:
    """Photographs with their degraded versions."""

    def draw(rng: np.random.Generator, size: int, cache: ImageCache) -> Pair:
        degraded, target = pairs[int(rng.integers(len(pairs)))]
        images = [cache.read(degraded), cache.read(target)]
        if images[0].shape != images[1].shape:
            raise SourceError(f"{degraded} and {target} differ in size")
        first, second = crop(rng, images, size)
        return first, second

    return Source(name, len(pairs), f"{len(pairs)} pairs in {origin}", draw)


def mixed(name: str, parts: Sequence[tuple[float, Source]]) -> Source:
    """One source made of several, each with its share."""
    shares = np.array([share for share, _ in parts]) / sum(share for share, _ in parts)

    def draw(rng: np.random.Generator, size: int, cache: ImageCache) -> Pair:
        return parts[rng.choice(len(parts), p=shares)][1].draw(rng, size, cache)

    origin = ", ".join(
        f"{100 * s:.0f} % {p.origin}" for s, (_, p) in zip(shares, parts, strict=True)
    )
    return Source(name, sum(p.count for _, p in parts), origin, draw)


def gather(names: Sequence[str], data: Path, options: dict[str, Any]) -> list[Source]:
    """The named sources, from the official folders under ``data`` and from its clean photographs.

    Args:
        names: of ``denoise``, ``derain``, ``dehaze``, ``deblur``, ``lowlight``.
        data: a folder laid out as the reference README's ``data/Train``.
        options: ``sigma`` (lowest and highest noise level), ``clean_share`` (pairs without
            degradation), ``paired_share`` (of real pairs where a source has both kinds).

    Raises:
        SourceError: a name is unknown, or there is nothing to make a source of.
    """
    folder = find_folder(data, "Denoise")
    clean = image_files(folder) if folder else []
    low, high = options["sigma"]

    def noise(image: Image, rng: np.random.Generator) -> Image:
        return degradations.gaussian_noise(image, rng, rng.uniform(low, high))

    models: dict[
        str, tuple[Callable[[Image, np.random.Generator], Image], int, tuple[str, str, str]]
    ] = {
        "denoise": (noise, 0, ("Denoise", "", "")),
        "derain": (degradations.random_rain, 0, ("Derain", "rainy", "gt")),
        "dehaze": (degradations.random_haze, 0, ("Dehaze", "synthetic", "original")),
        "deblur": (degradations.random_motion_blur, BLUR_MARGIN, ("Deblur", "blur", "sharp")),
        "lowlight": (degradations.random_low_light, 0, ("low_light", "low", "high")),
    }
    sources = []
    for name in names:
        if name not in models:
            raise SourceError(f"no source {name!r}; there are {', '.join(models)}")
        degrade, margin, (task, degraded, target) = models[name]
        parts: list[tuple[float, Source]] = []
        share = options["paired_share"].get(name, 1.0)
        first, second = find_folder(data, task, degraded), find_folder(data, task, target)
        if degraded and first and second and share > 0:
            parts.append((share, paired(name, match_pairs(first, second), first.parent)))
        if clean and (share < 1 or not parts):
            made = synthetic(
                name, clean, degrade, margin=margin, clean_share=options["clean_share"]
            )
            parts.append((1 - share if parts else 1.0, made))
        if not parts:
            raise SourceError(
                f"source {name}: neither {data / task} nor clean photographs in {data / 'Denoise'}"
            )
        sources.append(mixed(name, parts) if len(parts) > 1 else parts[0][1])
    return sources


class Patches(Dataset[tuple[Tensor, Tensor, int]]):
    """Sample ``i``: degraded and target ``(3, size, size)`` uint8, and the source's index."""

    def __init__(
        self, sources: Sequence[Source], probabilities: Sequence[float], size: int, seed: int
    ) -> None:
        self.sources = sources
        self.probabilities = np.asarray(probabilities) / sum(probabilities)
        self.size = size
        self.seed = seed
        self.cache = ImageCache()

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int]:
        rng = np.random.default_rng([self.seed, index])
        k = int(rng.choice(len(self.sources), p=self.probabilities))
        degraded, target = self.sources[k].draw(rng, self.size, self.cache)
        return _tensor(degraded), _tensor(target), k


def _tensor(patch: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(patch.transpose(2, 0, 1)))
