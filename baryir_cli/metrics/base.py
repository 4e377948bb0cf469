"""What a metric is, and what it says when it cannot be had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from baryir_cli.errors import UserError

Pixels = NDArray[np.uint8]
"""(H, W, 3), RGB."""
Features = NDArray[np.float64]
"""(2048,) of an image, (N, 2048) of a set."""

ImageScorer = Callable[[Pixels, "Pixels | None"], float]
"""The score of a restored image against its target; metrics without reference ignore the target."""


class SetScorer(Protocol):
    """A metric of two sets of images, from features that are computed an image at a time."""

    def features(self, image: Pixels) -> Features:
        """What the metric remembers of an image, (2048,)."""
        ...

    def distance(self, a: Features, b: Features) -> float:
        """Between two sets, (N, 2048) and (M, 2048)."""
        ...


@dataclass(frozen=True)
class Metric:
    """A metric's name and how its figures are to be read."""

    name: str
    label: str
    better: Literal["higher", "lower"]
    needs_target: bool
    per_image: bool
    digits: int
    """Behind the point, in tables."""


class MetricUnavailable(UserError):  # noqa: N818
    """A metric cannot be computed; the message is one line: why, and what to do."""
