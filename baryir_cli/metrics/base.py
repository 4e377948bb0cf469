"""What a metric is, and the error if it is unavailable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from baryir_cli.errors import UserError
from models.light import Pixels

Features = NDArray[np.float64]
"""(2048,) for an image, (N, 2048) for a set."""

ImageScorer = Callable[[Pixels, "Pixels | None"], float]
"""Scores a restored image against its target, which metrics without reference ignore."""


class SetScorer(Protocol):
    """A metric of two sets of images, computed from features of single images."""

    def features(self, image: Pixels) -> Features:
        """The features of an image, (2048,)."""
        ...

    def distance(self, a: Features, b: Features) -> float:
        """The distance between the features of two sets, (N, 2048) and (M, 2048)."""
        ...


@dataclass(frozen=True)
class Metric:
    """A metric's name and how to read its figures."""

    name: str
    label: str
    better: Literal["higher", "lower"]
    needs_target: bool
    per_image: bool
    digits: int
    """Decimals in tables."""


class MetricUnavailable(UserError):  # noqa: N818
    """A metric cannot be computed. The message is one line that says why and what to do."""
