"""Bootstrap intervals, compared with theory."""

from __future__ import annotations

import math

import numpy as np
import pytest

from baryir_cli.evaluation import statistics
from baryir_cli.evaluation.statistics import RESAMPLES, interval, mean_interval, mean_resamples


def names(count: int) -> list[str]:
    return [str(n) for n in range(count)]


def test_a_large_set_has_the_interval_of_the_normal_distribution() -> None:
    values = np.random.default_rng(0).normal(30, 4, 400)
    found = mean_interval(list(values), names(400))
    assert found is not None
    half = 1.96 * values.std() / math.sqrt(400)
    assert found[0] == pytest.approx(values.mean() - half, abs=0.03)
    assert found[1] == pytest.approx(values.mean() + half, abs=0.03)


def test_resamples_are_seeded_by_the_names_of_the_images() -> None:
    values = [1.0, 2.0, 4.0]
    first = mean_resamples(values, names(3))
    assert len(first) == RESAMPLES
    assert (first == mean_resamples(values, names(3))).all()
    assert (first != mean_resamples(values, ["a", "b", "c"])).any()


def test_pieces_of_the_resamples_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    values = list(np.random.default_rng(0).normal(size=111))
    whole = mean_resamples(values, names(111))
    assert len(whole) == RESAMPLES
    monkeypatch.setattr(statistics, "CHUNK", 700 * 111)
    np.testing.assert_array_equal(mean_resamples(values, names(111)), whole)


def test_few_images_or_an_infinite_value_have_no_interval() -> None:
    values = [1.0, 2.0, 4.0, 3.0, 5.0]
    assert mean_interval(values, names(5)) is not None
    assert mean_interval(values[:4], names(4)) is None
    assert mean_interval([], []) is None
    assert interval(mean_resamples([*values, math.inf], names(6)), 6) is None


def test_intervals_of_small_sets_cover_the_mean_in_95_percent() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(400):
        found = mean_interval(list(rng.normal(size=12)), names(12 + trial)[-12:])
        assert found is not None
        held += found[0] <= 0 <= found[1]
    assert held / 400 == pytest.approx(0.95, abs=0.02)
