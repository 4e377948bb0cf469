"""The potentials of the barycenter problem: one small critic per source, all in one call."""

from __future__ import annotations

from torch import Tensor, nn


class Potentials(nn.Module):
    """Free networks g_1 .. g_K on barycenter embeddings (paper section 4.1).

    Grouped convolutions keep the K critics independent. A global mean makes them work on patches
    of any size.

    Input: ``(N, C, h, w)`` barycenter embeddings. Output: ``(N, K)``, g_k(b_i).
    """

    def __init__(self, channels: int, sources: int, hidden: int = 32) -> None:
        super().__init__()
        width = sources * hidden
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, 1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1, groups=sources),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(width, width, 1, groups=sources),
            nn.SiLU(),
            nn.Conv2d(width, sources, 1, groups=sources),
        )

    def forward(self, barycenter: Tensor) -> Tensor:
        return self.features(barycenter).flatten(1)
