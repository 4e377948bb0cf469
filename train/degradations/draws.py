"""Parameters as they are drawn."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

T = TypeVar("T")


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A draw whose logarithm is even between those of two numbers."""
    drawn: float = np.exp(rng.uniform(np.log(low), np.log(high)))
    return drawn


def given_or(given: T | None, drawn: T) -> T:
    """What was asked for, else what was drawn.

    The draw comes first either way, so that one given parameter changes no other.
    """
    return drawn if given is None else given
