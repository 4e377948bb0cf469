"""Mixtures of degradation models: one or another at random, or one more on top."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from train import degradations
from train.degradations import Image

Degrade = Callable[[Image, np.random.Generator], Image]
"""Takes values in [0, 1]; the results may lie slightly outside."""
BRIGHT = 0.45
"""Mean value of a photograph that is not dark."""


@dataclass(frozen=True)
class NoiseRange:
    """Noise levels drawn uniformly between two, in 8-bit steps."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        return rng.uniform(self.low, self.high)

    def __str__(self) -> str:
        return f"sigma {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class NoiseLevels:
    """A few equally frequent noise levels, which are one source (DESIGN section 3)."""

    levels: tuple[float, ...]

    def draw(self, rng: np.random.Generator) -> float:
        return self.levels[int(rng.integers(len(self.levels)))]

    def __str__(self) -> str:
        return f"sigma {', '.join(f'{level:g}' for level in self.levels)}"


@dataclass(frozen=True)
class WhiteNoise:
    """Gaussian noise of a random level."""

    levels: NoiseRange | NoiseLevels

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        return degradations.gaussian_noise(image, rng, self.levels.draw(rng))

    def __str__(self) -> str:
        return str(self.levels)


@dataclass(frozen=True)
class Dimmed:
    """Noise that is weaker in dark pictures, by the root of their light, like shot noise.

    Otherwise a photograph five stops under would drown in it.
    """

    noise: Degrade

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        factor = np.sqrt(np.minimum(image.mean() / BRIGHT, 1))
        return image + factor * (self.noise(image, rng) - image)

    def __str__(self) -> str:
        return in_words(self.noise)


@dataclass(frozen=True)
class Instead:
    """A model, or for a share of the photographs another one, which ``what`` names."""

    usual: Degrade
    other: Degrade
    share: float
    what: str

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        return (self.other if rng.random() < self.share else self.usual)(image, rng)

    def __str__(self) -> str:
        return self.words(1.0)

    def words(self, part: float) -> str:
        """In words, with shares of all photographs, of which ``part`` come to this model."""
        rest = part * (1 - self.share)
        usual = self.usual.words(rest) if isinstance(self.usual, Instead) else in_words(self.usual)
        return _listed(usual, f"{self.what} in {_percent(part * self.share)}")


@dataclass(frozen=True)
class Followed:
    """A model, and for a share of the photographs a second one after it, which ``what`` names."""

    first: Degrade
    more: Degrade
    share: float
    what: str

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        degraded = self.first(image, rng)
        return self.more(np.clip(degraded, 0, 1), rng) if rng.random() < self.share else degraded

    def __str__(self) -> str:
        """In words; shares in parentheses are of the photographs with the second model."""
        details = f" ({words})" if (words := in_words(self.more)) else ""
        return _listed(in_words(self.first), f"{self.what} in {_percent(self.share)}{details}")


def in_words(degrade: Degrade) -> str:
    """A model's parameters in words, if they can be chosen; else an empty text."""
    return str(degrade) if isinstance(degrade, WhiteNoise | Dimmed | Instead | Followed) else ""


def _percent(share: float) -> str:
    """A share in percent, to three digits.

    >>> _percent(0.125)
    '12.5%'
    """
    return f"{100 * share:.3g}%"


def _listed(*parts: str) -> str:
    return ", ".join(filter(None, parts))
