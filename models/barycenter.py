"""The barycenter stage: source latent, barycenter embedding, residual embedding."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.blocks import LayerNorm
from models.config import Fed, NetworkConfig
from models.maps import barycenter_map


class Latents(NamedTuple):
    """The three embeddings of a batch, each ``(N, C, h, w)`` (paper section 4)."""

    source: Tensor
    """z: the normalised latent of the degraded image."""
    barycenter: Tensor
    """b = T(z): its image in the Wasserstein barycenter space."""
    residual: Tensor
    """r = z - b: what is specific to the degradation."""

    def feed(self, fed: Fed) -> tuple[Tensor, Tensor]:
        """The two inputs of a decoder: z or b, and r or zeros in its place (paper Table IX).

        They are not added, since z = b + r. The zeros replace r in every branch, so the four
        networks differ in nothing else.
        """
        embedding = self.barycenter if fed.startswith("bary") else self.source
        if fed.endswith("res"):
            return embedding, self.residual
        return embedding, torch.zeros_like(self.residual)


class BarycenterStage(nn.Module):
    """z = LN(latent), b = LN(T(z)) with the same LN, r = z - b.

    The barycenter map T is one of :mod:`models.maps`. The norm is part of it, which keeps
    transport costs comparable between images.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        channels = config.channels(config.levels - 1)
        self.norm = LayerNorm(channels)
        self.map = barycenter_map(config, channels)

    def forward(self, latent: Tensor) -> Latents:
        source = self.norm(latent)
        barycenter = self.norm(self.map(source))
        return Latents(source, barycenter, source - barycenter)
