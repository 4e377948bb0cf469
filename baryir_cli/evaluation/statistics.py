"""Bootstrap intervals of means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from baryir_cli.seeds import seed_of

Values = NDArray[np.float64]

RESAMPLES = 10_000
LEVEL = 0.95
FEWEST = 6
"""Pairs from which on a difference can be clear: if one of two is better on all of five, that is
chance in 2 * 0.5^5 = 6 % of the cases."""
CHUNK = 1 << 22
"""Indices that are drawn at a time."""


def mean_resamples(values: Sequence[float], names: Sequence[str]) -> Values:
    """Means of :data:`RESAMPLES` samples drawn from ``values`` with replacement.

    Args:
        names: of the images. They seed the draw, so that two sets over the same images (BSD68
            at several noise levels) draw the same ones and may be averaged as what they are:
            not independent.
    """
    array = np.asarray(values, np.float64)
    rng = np.random.default_rng(seed_of("\n".join(names)))
    rows = max(CHUNK // len(array), 1)
    means = [
        array[rng.integers(0, len(array), (min(rows, RESAMPLES - start), len(array)))].mean(1)
        for start in range(0, RESAMPLES, rows)
    ]
    return np.concatenate(means)


def interval(resamples: Values, count: int) -> tuple[float, float] | None:
    """The interval of :data:`LEVEL` by expanded percentiles (Hesterberg, Am. Statistician 2015).

    Plain percentiles are too narrow for small sets: of 12 images they hold the true mean in about
    91 cases of 100. These lie further out, as Student's t does beyond the normal distribution.

    Args:
        count: of the values behind each of the means; of an average of sets, in the smallest.

    Returns:
        None where means are infinite or of a single value.
    """
    if count < 2 or not np.isfinite(resamples).all():
        return None
    t = stdtrit(count - 1, (1 + LEVEL) / 2)
    tail = 100 * ndtr(-t * np.sqrt(count / (count - 1)))
    low, high = np.percentile(resamples, [tail, 100 - tail])
    return float(low), float(high)


def mean_interval(values: Sequence[float], names: Sequence[str]) -> tuple[float, float] | None:
    """Interval of the mean of ``values``; None for fewer than two."""
    return interval(mean_resamples(values, names), len(values)) if len(values) > 1 else None
