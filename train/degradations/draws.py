"""Helpers to draw parameters."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

T = TypeVar("T")


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between two, its logarithm uniformly distributed."""
    drawn: float = np.exp(rng.uniform(np.log(low), np.log(high)))
    return drawn


def given_or(given: T | None, drawn: T) -> T:
    """The given value if there is one, else the drawn one.

    The value is drawn in either case, so that a given parameter changes no other, unless it decides
    how much is drawn after it (as the sizes and numbers of streaks and ``window`` do).
    """
    return drawn if given is None else given
