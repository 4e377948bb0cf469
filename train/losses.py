"""The barycenter objective (DESIGN section 3 restores the paper's equations) and a pixel loss.

Latents are ``(N, C, h, w)``; ``source`` is ``(N,)``, the index k of every sample's source. The last
three functions are the reference code's versions of the same terms.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from models.barycenter import Latents

TEMPERATURE = 0.07
"""Temperature of the contrastive terms (paper section 5.1)."""

BEST_PSNR = 40.0
"""Decibels beyond which :func:`lacking` teaches little; else the network would only learn to leave
clean photographs alone."""
BEST_SCENE = 31.0
"""The same for scenes as a judge sees them. Most hazy and dark scenes cannot reach more; with less,
changing clean scenes would cost too little (docs/training.md, trials before run 16)."""


def lacking(difference: Tensor, best: float = BEST_PSNR) -> Tensor:
    """How far every sample's PSNR is from the best, in units of 8.7 dB, ``(N,)``.

    The logarithm of the RMS, with a floor: the measure of the benchmarks. With a weighted L1, rain
    and haze made three quarters of the gradient's noise (docs/training.md, trials before run 10).

    Args:
        difference: ``(N, 3, H, W)``, restored minus target, in [-1, 1].
        best: in dB.
    """
    floor = 10 ** (-best / 10)
    return 0.5 * (difference.square().flatten(1).mean(1) / floor + 1).log()


def congruent(potentials: Tensor, weights: Tensor) -> Tensor:
    """f_k = g_k - sum_j l_j g_j, so that sum_k l_k f_k = 0 everywhere (section 4.1).

    Args:
        potentials: ``(N, K)``, the free g_k(b_i).
        weights: ``(K,)``, the barycenter weights l, positive, sum 1.
    """
    return potentials - (potentials @ weights)[:, None]


def importance(source: Tensor, weights: Tensor, probabilities: Tensor) -> Tensor:
    """l_k / q_k of every sample's source, ``(N,)``; means weighted by it estimate sum_k l_k E_k."""
    return (weights / probabilities)[source]


def own(potentials: Tensor, source: Tensor) -> Tensor:
    """The potential of every sample's own source, ``(N,)``, from ``(N, K)``."""
    return potentials.gather(1, source[:, None]).squeeze(1)


def transport_cost(latents: Latents) -> Tensor:
    """c(z, T(z)) = ||z - T(z)||^2 as the mean over C, h and w, ``(N,)``."""
    return latents.residual.square().flatten(1).mean(1)


def mwb(latents: Latents, potentials: Tensor, source: Tensor, importance: Tensor) -> Tensor:
    """Multisource Wasserstein barycenter loss for the map (equation 8), a scalar.

    Args:
        potentials: ``(N, K)``, congruent f_k(b_i).
        importance: ``(N,)``, l_k / q_k.
    """
    return (importance * (transport_cost(latents) - own(potentials, source))).mean()


def potentials_objective(potentials: Tensor, source: Tensor, importance: Tensor) -> Tensor:
    """What the potentials minimise: sum_k l_k E f_k(b), a scalar; the ascent of equation 8."""
    return (importance * own(potentials, source)).mean()


def irc(residual: Tensor, source: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Inter-residual contrastive loss (equation 13), a scalar; a sample is not its own positive.

    Samples without another of their source in the batch are left out; 0 if none remain.
    """
    unit = F.normalize(residual.flatten(1), dim=1)
    similarity = unit @ unit.T / temperature
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    # Finite, because a batch of one sample would otherwise give infinity minus infinity.
    never = torch.finfo(similarity.dtype).min
    similarity = similarity.masked_fill(itself, never)
    positive = (source[:, None] == source[None]) & ~itself
    # Samples without a partner compare all with all, which gives 0. Selecting the others would make
    # the CPU wait for a GPU to count them.
    left_out = ~positive.any(1, keepdim=True)
    matched = similarity.masked_fill(~(positive | left_out), never)
    contrast = similarity.logsumexp(1) - matched.logsumexp(1)
    return contrast.sum() / (~left_out).sum().clamp(min=1)


def bro(barycenter: Tensor, residual: Tensor) -> Tensor:
    """Barycenter-residual orthogonal loss: the mean of cos(b_i, r_j)^2 (equation 14), a scalar."""
    return squared_cosines(barycenter, residual).mean()


def squared_cosines(barycenter: Tensor, residual: Tensor) -> Tensor:
    """cos(b_i, r_j)^2 of every pair, ``(N, M)``."""
    b = F.normalize(barycenter.flatten(1), dim=1)
    r = F.normalize(residual.flatten(1), dim=1)
    return (b @ r.T).square()


def reference_cost(latents: Latents) -> Tensor:
    """RMS(z_i - b_i) of every sample, ``(N,)``: a root instead of the paper's square."""
    return transport_cost(latents).sqrt()


def reference_contrast(
    residual: Tensor, source: Tensor, residuals: Tensor, sources: Tensor
) -> Tensor:
    """The reference code's contrast of every sample, ``(N,)``; a sample is its own positive.

    It is near 0 while residuals are nearly orthogonal, so it teaches next to nothing.

    Args:
        residuals: ``(M, C, h, w)``, those of the whole batch, including ``residual``.
        sources: ``(M,)``, their sources.
    """
    unit = F.normalize(residual.flatten(1), dim=1)
    units = F.normalize(residuals.flatten(1), dim=1)
    similarity = unit @ units.T / TEMPERATURE
    positive = source[:, None] == sources[None]
    return similarity.logsumexp(1) - similarity.masked_fill(~positive, -torch.inf).logsumexp(1)


def reference_congruence(potentials: Tensor, weights: Tensor) -> Tensor:
    """10 (sum_j l_j g_j(b))^2 on the last sample of ``(N, K)`` potentials, a scalar."""
    return 10 * (potentials[-1] @ weights).square()
