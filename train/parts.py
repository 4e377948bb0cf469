"""Origins of training pairs: photographs with their degraded versions, or a model of these."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from train import degradations
from train.degradations import Image
from train.folders import PairOfFiles, SourceError
from train.images import ImageCache, Pixels, UnusableError, crop

Pair = tuple[Pixels, Pixels]
"""A degraded patch and its target, both ``(size, size, 3)``."""
Degrade = Callable[[Image, np.random.Generator], Image]


@dataclass(frozen=True)
class Window:
    """What a patch shows of its photograph; see :func:`train.images.crop`."""

    size: int
    zoom: float = 1.0


@dataclass(frozen=True)
class NoiseRange:
    """Noise levels drawn evenly between two, in 8-bit steps."""

    low: float = 15.0
    high: float = 50.0

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high < math.inf:
            raise SourceError(f"no range of noise levels: {self.low} to {self.high}")

    def draw(self, rng: np.random.Generator) -> float:
        return rng.uniform(self.low, self.high)

    def __str__(self) -> str:
        return f"sigma {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class NoiseLevels:
    """Noise of a few levels, each as often as the others: one source (DESIGN section 3)."""

    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.levels or not all(0 <= level < math.inf for level in self.levels):
            raise SourceError(f"no noise levels: {', '.join(map(str, self.levels)) or 'none'}")

    def draw(self, rng: np.random.Generator) -> float:
        return self.levels[int(rng.integers(len(self.levels)))]

    def __str__(self) -> str:
        return f"sigma {', '.join(f'{level:g}' for level in self.levels)}"


@dataclass(frozen=True)
class Noise:
    """The model of ``denoise``."""

    levels: NoiseRange | NoiseLevels

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        return degradations.gaussian_noise(image, rng, self.levels.draw(rng))


class Part(Protocol):
    """One origin of a source's pairs.

    ``count`` pairs or photographs; ``origin`` says what they are and where from; ``targets`` are
    the undegraded photographs, ``files`` all that may be read.
    """

    @property
    def count(self) -> int: ...
    @property
    def origin(self) -> str: ...
    @property
    def targets(self) -> Iterable[Path]: ...
    @property
    def files(self) -> Iterable[Path]: ...
    def keep(self, wanted: Callable[[Path], bool]) -> Part:
        """The same without the photographs that are not wanted."""
        ...

    def draw(self, rng: np.random.Generator, window: Window, images: ImageCache) -> Pair: ...


@dataclass(frozen=True)
class Synthesised:
    """Clean photographs and a model of the degradation.

    Attributes:
        margin: pixels around a patch that the model needs to see.
        clean_share: share of the pairs that stay undegraded.
        origin: what follows the number of photographs in words: where they are from.
    """

    photographs: tuple[Path, ...]
    degrade: Degrade
    margin: int
    clean_share: float
    origin: str

    @property
    def count(self) -> int:
        return len(self.photographs)

    @property
    def targets(self) -> Iterable[Path]:
        return self.photographs

    @property
    def files(self) -> Iterable[Path]:
        return self.photographs

    def keep(self, wanted: Callable[[Path], bool]) -> Synthesised:
        return replace(self, photographs=tuple(filter(wanted, self.photographs)))

    def draw(self, rng: np.random.Generator, window: Window, images: ImageCache) -> Pair:
        image = images.read(self.photographs[int(rng.integers(len(self.photographs)))])
        (patch,) = crop(rng, [image], window.size + 2 * self.margin, window.zoom)
        inner = slice(self.margin, self.margin + window.size)
        target = patch[inner, inner]
        if rng.random() < self.clean_share:
            return target, target
        degraded = self.degrade(patch.astype(np.float32) / np.float32(255), rng)
        return degradations.quantise(degraded[inner, inner]), target


@dataclass(frozen=True)
class Paired:
    """Photographs with their degraded versions."""

    pairs: tuple[PairOfFiles, ...]
    origin: str

    @property
    def count(self) -> int:
        return len(self.pairs)

    @property
    def targets(self) -> Iterable[Path]:
        return (target for _, target in self.pairs)

    @property
    def files(self) -> Iterable[Path]:
        return (path for pair in self.pairs for path in pair)

    def keep(self, wanted: Callable[[Path], bool]) -> Paired:
        return replace(self, pairs=tuple(pair for pair in self.pairs if wanted(pair[1])))

    def draw(self, rng: np.random.Generator, window: Window, images: ImageCache) -> Pair:
        degraded, target = self.pairs[int(rng.integers(len(self.pairs)))]
        both = [images.read(degraded), images.read(target)]
        if both[0].shape != both[1].shape:
            raise UnusableError(degraded, "differs in size from its partner")
        first, second = crop(rng, both, window.size, window.zoom)
        return first, second
