"""The objective finds a barycenter with a known closed form; without congruence it does not.

This is a toy version; ``scripts/gaussian_barycenter.py`` is the full one, with its figures in
docs/mathematics.md.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.train.gaussians import Gaussians, Incongruent, solve
from train.objective import PaperObjective

WEIGHTS = (0.5, 0.3, 0.2)
STEPS = 1500


@pytest.fixture(scope="module")
def gaussians() -> Gaussians:
    return Gaussians.random(3, 2, distance=8, seed=2)


def test_sources_have_the_distance_and_variance_asked_for(gaussians: Gaussians) -> None:
    assert np.linalg.norm(gaussians.means, axis=1) == pytest.approx([8, 8, 8])
    assert np.trace(gaussians.covariances, axis1=1, axis2=2) == pytest.approx([2, 2, 2])


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["balanced", "proportional"])
def test_the_barycenter_is_found(gaussians: Gaussians, sampling: str) -> None:
    report = solve(PaperObjective, gaussians, WEIGHTS, sampling, STEPS)
    assert max(report.uvp) < 2
    assert max(report.mean) < 0.1
    assert max(report.covariance) < 0.1


@pytest.mark.usefixtures("one_thread")
def test_without_congruence_it_is_not_approached(gaussians: Gaussians) -> None:
    # With 150, it depends on the processor how close the congruent ones come.
    few = {"steps": 300, "batch": 64, "samples": 10_000}
    congruent, free = (
        solve(kind, gaussians, WEIGHTS, "balanced", **few) for kind in (PaperObjective, Incongruent)
    )
    assert max(congruent.mean) < 1
    assert min(free.mean) > 1
    assert min(free.uvp) > 2 * max(congruent.uvp)
