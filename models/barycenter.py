"""The barycenter stage: source latent, barycenter embedding, residual embedding."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from models.blocks import LayerNorm, transformer_blocks
from models.config import NetworkConfig


class Latents(NamedTuple):
    """The three embeddings of a batch, each ``(N, C, h, w)`` (paper section 4)."""

    source: Tensor
    """z: the normalised latent of the degraded image."""
    barycenter: Tensor
    """b = T(z): its image in the Wasserstein barycenter space."""
    residual: Tensor
    """r = z - b: what is specific to the degradation."""


class BarycenterStage(nn.Module):
    """z = LN(latent), b = LN(T(z)) with the same LN, r = z - b.

    T, the barycenter map, is a run of MDTA+GDFN blocks. The norm is part of it, which keeps
    transport costs comparable between images.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        channels = config.channels(config.levels - 1)
        self.norm = LayerNorm(channels)
        self.map = transformer_blocks(config, config.map_blocks, channels, config.heads[-1])

    def forward(self, latent: Tensor) -> Latents:
        source = self.norm(latent)
        barycenter = self.norm(self.map(source))
        return Latents(source, barycenter, source - barycenter)
