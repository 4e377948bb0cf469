"""Where training pairs come from: photographs with degraded versions, or with a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from models.light import Pixels
from models.scene import picture_of
from train import degradations
from train.degradations import Image as Floats
from train.folders import PairOfFiles
from train.images import ImageCache, Reason, UnusableError, crop
from train.mixtures import Degrade
from train.variety import vary_exposure, vary_tone


class Pair(NamedTuple):
    """A patch and its scene, each degraded and as target, ``(side, side, 3)``.

    The scene is float, 0 to 255: in the dark, 8 bits are too coarse for means. ``place`` is where
    the patch lies in the scene: top, left, bottom, right as fractions of the scene's side.
    """

    degraded: Pixels
    target: Pixels
    scene: Floats
    scene_target: Floats
    place: tuple[float, float, float, float]

    def through(self, colours: Floats) -> Pair:
        """Patch and scene behind a filter, ``(3, 3)``, that multiplies every pixel."""
        degraded, target = (
            degradations.quantise(degradations.floating(patch) @ colours)
            for patch in (self.degraded, self.target)
        )
        scene, scene_target = self.scene @ colours, self.scene_target @ colours
        return Pair(degraded, target, scene, scene_target, self.place)


@dataclass(frozen=True)
class Window:
    """What a patch shows of its photograph.

    Attributes:
        size: side of a patch in pixels.
        scene: side of the square that the patch is cut from; the patch itself if that is larger.
        zoom: the square may cover up to this many times as many pixels a side of the photograph,
            shrunk (:func:`train.images.crop`).
        picture: side that the square is resized to for a scene judge; 0 for no judge.
    """

    size: int
    scene: int = 0
    zoom: float = 1.0
    picture: int = 0

    def squares(
        self, rng: np.random.Generator, images: Sequence[Pixels], margin: int = 0
    ) -> list[Pixels]:
        """The part of every image to degrade, by a model that reaches ``margin`` pixels.

        A judge sees scenes upright: that helps to tell sky from haze.
        """
        side = max(self.size, self.scene) + 2 * margin
        return crop(rng, images, side, self.zoom, upright=self.picture > 0)

    def cut(
        self, rng: np.random.Generator, degraded: Pixels, target: Pixels, margin: int = 0
    ) -> Pair:
        """A patch and its scene, cut from one of :meth:`squares`."""
        inner = slice(margin, len(target) - margin)
        degraded, target = degraded[inner, inner], target[inner, inner]
        side = len(target)
        top, left = (int(n) for n in rng.integers(0, side - self.size + 1, 2))
        patch = slice(top, top + self.size), slice(left, left + self.size)
        return Pair(
            degraded[patch],
            target[patch],
            self._picture(degraded),
            self._picture(target),
            (top / side, left / side, (top + self.size) / side, (left + self.size) / side),
        )

    def _picture(self, square: Pixels) -> Floats:
        return picture_of(square, self.picture) if self.picture else np.zeros((0, 0, 3), np.float32)


class Part(Protocol):
    """One origin of a source's pairs.

    ``count`` is its number of pairs or photographs, and ``origin`` says what they are and where
    they come from. ``targets`` are the undegraded photographs, ``files`` all files it may read.
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
        """The same with only the wanted photographs."""
        ...

    def unvaried(self) -> Part:
        """The same with every pair degraded and all tones unchanged."""
        ...

    def draw(self, rng: np.random.Generator, window: Window, images: ImageCache) -> Pair: ...


@dataclass(frozen=True)
class Synthesised:
    """Clean photographs and a degradation model.

    Attributes:
        margin: pixels around a patch that the model needs to see.
        clean_share: share of the pairs that stay undegraded.
        origin: where the photographs come from, as text after their number.
        variety: amount for :func:`train.variety.vary_tone`.
    """

    photographs: tuple[Path, ...]
    degrade: Degrade
    margin: int
    clean_share: float
    origin: str
    variety: float = 0.0

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

    def unvaried(self) -> Synthesised:
        return replace(self, clean_share=0.0, variety=0.0)

    def draw(self, rng: np.random.Generator, window: Window, images: ImageCache) -> Pair:
        image = images.read(self.photographs[int(rng.integers(len(self.photographs)))])
        (target,) = window.squares(rng, [image], self.margin)
        if self.variety:
            target = vary_tone(target, rng, self.variety)
        degraded = target
        if rng.random() >= self.clean_share:
            values = self.degrade(degradations.floating(target), rng)
            degraded = degradations.quantise(values)
        return window.cut(rng, degraded, target, self.margin)


@dataclass(frozen=True)
class Paired:
    """Photographs with their degraded versions.

    Attributes:
        variety: amount for :func:`train.variety.vary_exposure`.
    """

    pairs: tuple[PairOfFiles, ...]
    origin: str
    variety: float = 0.0

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

    def unvaried(self) -> Paired:
        return replace(self, variety=0.0)

    def draw(self, rng: np.random.Generator, window: Window, images: ImageCache) -> Pair:
        degraded, target = self.pairs[int(rng.integers(len(self.pairs)))]
        both = [images.read(degraded), images.read(target)]
        if both[0].shape != both[1].shape:
            raise UnusableError(degraded, Reason.UNEQUAL)
        before, after = window.squares(rng, both)
        if self.variety:
            before, after = vary_exposure(before, after, rng, self.variety)
        return window.cut(rng, before, after)
