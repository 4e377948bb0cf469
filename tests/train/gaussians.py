"""A barycenter with a known closed form, for the objective to find (DESIGN section 3).

The Gaussian sources have almost disjoint supports, so one shared map can serve them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.barycenter import Latents
from models.potentials import Potentials
from train.objective import Objective, PaperObjective
from train.recipe import Recipe, SourceRecipe
from train.trainer import average_into

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gaussians:
    """K Gaussian sources: ``means`` ``(K, d)``, ``covariances`` ``(K, d, d)``."""

    means: Array
    covariances: Array

    @classmethod
    def random(cls, sources: int, dimension: int, distance: float, seed: int) -> Gaussians:
        """Sources with random axes, ``distance`` standard deviations from the origin.

        The means point to the corners of a regular simplex, turned at random. The covariances'
        eigenvalues are drawn from 0.5 to 1.5 and scaled to a mean of 1.
        """
        rng = np.random.default_rng(seed)
        corners = np.eye(sources) - 1 / sources
        axes = np.linalg.svd(corners)[2][: sources - 1]
        corners = corners @ axes.T / np.linalg.norm(corners[0])
        turn = np.linalg.qr(rng.standard_normal((dimension, dimension)))[0]
        means = distance * np.pad(corners, ((0, 0), (0, dimension - sources + 1))) @ turn
        covariances = []
        for _ in range(sources):
            basis = np.linalg.qr(rng.standard_normal((dimension, dimension)))[0]
            values = rng.uniform(0.5, 1.5, dimension)
            covariances.append(basis @ np.diag(values / values.mean()) @ basis.T)
        return cls(means, np.array(covariances))

    def draw(self, source: Tensor) -> Tensor:
        """One sample of each given source, ``(N, d)`` float32."""
        means = torch.from_numpy(self.means).float()
        roots = torch.from_numpy(np.linalg.cholesky(self.covariances)).float()
        noise = torch.randn(len(source), means.shape[1], 1)
        return means[source] + (roots[source] @ noise).squeeze(2)


class GaussianMap(nn.Module):
    """T for vectors: a linear layer plus a multilayer perceptron."""

    def __init__(self, dimension: int, hidden: int = 128) -> None:
        super().__init__()
        self.linear = nn.Linear(dimension, dimension)
        self.layers = nn.Sequential(
            nn.Linear(dimension, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, dimension),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.linear(z) + self.layers(z)


def play(
    objective: Objective,
    network: nn.Module,
    gaussians: Gaussians,
    *,
    steps: int,
    batch: int,
    learning_rate: float,
) -> nn.Module:
    """Plays the max-min game on vectors with the product's objective; latents: ``(N, d, 1, 1)``.

    As in :meth:`train.trainer.Trainer.train_step`, the map and the potentials take one step each
    in turn.

    Returns:
        The network with averaged weights, which is what a run exports.
    """
    average = deepcopy(network).requires_grad_(False)
    optimiser = torch.optim.Adam(network.parameters(), learning_rate, betas=(0.5, 0.9))
    for step in range(steps):
        factor = min(1.0, 2 * (1 - step / steps))
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * factor
        source = torch.multinomial(objective.probabilities, batch, replacement=True)
        z = gaussians.draw(source)
        b = network(z)
        latents = Latents(*(x[..., None, None] for x in (z, b, z - b)))
        loss = objective.map_terms(latents, source)["map"]
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        objective.potentials_step(latents.barycenter.detach(), source, factor)
        average_into(average, network, objective.recipe.ema, step)
    return average


class Incongruent(PaperObjective):
    """The same game with free potentials, which no longer sum to zero."""

    def centred(self, potentials: Tensor) -> Tensor:
        return potentials


@dataclass(frozen=True)
class Report:
    """How far T#P_k is from the barycenter Q, one value per source."""

    uvp: list[float]
    """100 BW2^2(T#P_k, Q) / (trace Cov Q / 2), in percent."""
    mean: list[float]
    """Distance of the means, in standard deviations of Q (root of its mean variance)."""
    covariance: list[float]
    """Relative Frobenius distance of the covariances."""


def solve(
    kind: type[PaperObjective],
    gaussians: Gaussians,
    weights: Sequence[float],
    sampling: str,
    steps: int,
    *,
    batch: int = 256,
    learning_rate: float = 1e-3,
    seed: int = 0,
    samples: int = 200_000,
) -> Report:
    """Plays the game and measures where the map takes every source.

    Args:
        sampling: ``balanced`` or ``proportional`` to the weights.
        samples: of each source, to measure with.
    """
    torch.manual_seed(seed)
    barycenter_weights = torch.tensor(weights)
    uniform = torch.full_like(barycenter_weights, 1 / len(weights))
    q = barycenter_weights if sampling == "proportional" else uniform
    dimension = gaussians.means.shape[1]
    recipe = Recipe(sources={"single": SourceRecipe()}, losses=("mwb",), potentials_rate=1e-3)
    objective = kind(recipe, Potentials(dimension, len(weights), hidden=64), barycenter_weights, q)
    network = GaussianMap(dimension)
    found = play(
        objective, network, gaussians, steps=steps, batch=batch, learning_rate=learning_rate
    )
    return measure(found, gaussians, weights, samples)


@torch.no_grad()
def measure(
    network: nn.Module, gaussians: Gaussians, weights: Sequence[float], samples: int
) -> Report:
    """Compares with POT's barycenter, on so many samples of each source."""
    from ot.gaussian import bures_wasserstein_barycenter, bures_wasserstein_distance

    mean, covariance = bures_wasserstein_barycenter(
        gaussians.means, gaussians.covariances, np.array(weights)
    )
    report = Report([], [], [])
    for k in range(len(weights)):
        moved = network(gaussians.draw(torch.full((samples,), k))).double().numpy()
        m, c = moved.mean(0), np.cov(moved.T)
        distance = bures_wasserstein_distance(m, mean, c, covariance)
        report.uvp.append(float(100 * distance**2 / (np.trace(covariance) / 2)))
        deviation = np.sqrt(np.trace(covariance) / len(mean))
        report.mean.append(float(np.linalg.norm(m - mean) / deviation))
        difference = np.linalg.norm(c - covariance) / np.linalg.norm(covariance)
        report.covariance.append(float(difference))
    return report
