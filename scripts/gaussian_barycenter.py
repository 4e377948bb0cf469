"""Does the objective find Wasserstein barycenters that have a closed form?

    python scripts/gaussian_barycenter.py [--dimensions 2 8 32] [--steps 6000]

Three Gaussian sources with l = .5 .3 .2 and nearly disjoint supports share one map. The losses, the
potentials' step and the averaging are the product's, in a loop over vectors. The true barycenter is
POT's (``ot.gaussian.bures_wasserstein_barycenter``). Sampling is balanced, then proportional. The
last row of each dimension has no congruence and must fail. Needs the ``test`` extra.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from train.objective import PaperObjective

# The tests are not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.train.gaussians import Gaussians, Incongruent, Report, solve

WEIGHTS = (0.5, 0.3, 0.2)
HEADINGS = ("dimension", "sampling", "congruence", "UVP % of each source", "mean", "covariance %")


def row(dimension: int, sampling: str, report: Report, congruence: str) -> str:
    uvp = " ".join(f"{value:.2f}" for value in report.uvp)
    mean = f"{max(report.mean):.3f}"
    covariance = f"{100 * max(report.covariance):.1f}"
    return f"| {dimension} | {sampling} | {congruence} | {uvp} | {mean} | {covariance} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[2, 8, 32])
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--distance", type=float, default=8.0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| " + " | ".join(HEADINGS) + " |")
    print("|---" * len(HEADINGS) + "|")
    for dimension in args.dimensions:
        gaussians = Gaussians.random(len(WEIGHTS), dimension, args.distance, seed=dimension)
        for sampling in ("balanced", "proportional"):
            report = solve(PaperObjective, gaussians, WEIGHTS, sampling, args.steps)
            print(row(dimension, sampling, report, "yes"), flush=True)
        report = solve(Incongruent, gaussians, WEIGHTS, "balanced", args.steps)
        print(row(dimension, "balanced", report, "no"), flush=True)


if __name__ == "__main__":
    main()
