"""The barycenter objective, as the paper writes it (DESIGN section 3 restores the equations).

Latents are ``(N, C, h, w)``, ``source`` is ``(N,)`` with the index k of every sample's source.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from models.barycenter import Latents


def congruent(potentials: Tensor, weights: Tensor) -> Tensor:
    """f_k = g_k - sum_j l_j g_j, so that sum_k l_k f_k = 0 everywhere (section 4.1).

    Args:
        potentials: ``(N, K)``, the free g_k(b_i).
        weights: ``(K,)``, the barycenter weights l, positive, sum 1.
    """
    return potentials - (potentials @ weights)[:, None]


def importance(source: Tensor, weights: Tensor, probabilities: Tensor) -> Tensor:
    """l_k / q_k of every sample's source, ``(N,)``: its mean estimates sum_k l_k E_k."""
    return (weights / probabilities)[source]


def transport_cost(latents: Latents) -> Tensor:
    """c(z, T(z)) = ||z - T(z)||^2 as the mean over C, h and w, ``(N,)``."""
    return latents.residual.square().flatten(1).mean(1)


def mwb(latents: Latents, potentials: Tensor, source: Tensor, importance: Tensor) -> Tensor:
    """Multisource Wasserstein barycenter loss for the map (equation 8), a scalar.

    Args:
        potentials: ``(N, K)``, congruent f_k(b_i).
        importance: ``(N,)``, l_k / q_k.
    """
    own = potentials.gather(1, source[:, None]).squeeze(1)
    return (importance * (transport_cost(latents) - own)).mean()


def potentials_objective(potentials: Tensor, source: Tensor, importance: Tensor) -> Tensor:
    """What the potentials minimise: sum_k l_k E f_k(b), the ascent of equation 8, a scalar."""
    own = potentials.gather(1, source[:, None]).squeeze(1)
    return (importance * own).mean()


def irc(residual: Tensor, source: Tensor, temperature: float = 0.07) -> Tensor:
    """Inter-residual contrastive loss (equation 13), a scalar; a sample is not its own positive.

    Samples without another of their source in the batch are left out; 0 if that leaves none.
    """
    unit = F.normalize(residual.flatten(1), dim=1)
    similarity = unit @ unit.T / temperature
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    similarity = similarity.masked_fill(itself, -torch.inf)
    positive = (source[:, None] == source[None]) & ~itself
    has_positive = positive.any(1)
    if not has_positive.any():
        return residual.sum() * 0
    similarity, positive = similarity[has_positive], positive[has_positive]
    matched = similarity.masked_fill(~positive, -torch.inf)
    return (similarity.logsumexp(1) - matched.logsumexp(1)).mean()


def bro(barycenter: Tensor, residual: Tensor) -> Tensor:
    """Barycenter-residual orthogonal loss: the mean of cos(b_i, r_j)^2 (equation 14), a scalar."""
    b = F.normalize(barycenter.flatten(1), dim=1)
    r = F.normalize(residual.flatten(1), dim=1)
    return (b @ r.T).square().mean()
