"""Two decoders, which differ in how the residual embedding conditions them.

Both take an embedding and the residual embedding, ``(N, C, h, w)`` each, and the features of the
encoder's levels above them, finest first. They return features at the finest level's resolution,
``(N, channels, H, W)``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import TransformerBlock, Upsample, blocks, conv1x1
from models.config import NetworkConfig
from models.prompts import prompt_block

SKIP_WEIGHT = 0.8
"""Weight of the residual's branch, which the official decoder adds to every skip."""


class OfficialLevel(nn.Module):
    """One level of the official decoder: upsamples features and residual, and joins the skip.

    Args:
        inputs: channels of the features from the level below.
        mixed: channels of the features before they are upsampled.
        residuals: channels of the residual from the level below.

    Input: features ``(N, inputs, h, w)``, residual ``(N, residuals, h, w)`` and the skip
    ``(N, C, 2h, 2w)`` with the C channels of the level. Output: features ``(N, C, 2h, 2w)``, at the
    finest level ``(N, 2C, 2h, 2w)``, and the residual ``(N, residuals / 2, 2h, 2w)``.
    """

    def __init__(
        self, config: NetworkConfig, level: int, inputs: int, mixed: int, residuals: int
    ) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            TransformerBlock(inputs, config.decoder_heads, config.expansion),
            conv1x1(inputs, mixed),
        )
        self.prompt = prompt_block(config, level + 1, mixed, config.decoder_heads)
        self.up = Upsample(mixed, config.resample_kernel)
        self.residual_mix = conv1x1(residuals, residuals)
        self.residual_up = Upsample(residuals, config.resample_kernel)
        self.finest = level == 0
        channels = config.channels(level)
        count, level_heads = config.blocks[level], config.heads[level]
        if self.finest:
            self.blocks = blocks(config, count, 2 * channels, level_heads)
        else:
            self.reduce = conv1x1(mixed // 2 + channels, channels)
            self.blocks = blocks(config, count, channels, level_heads)
            self.residual_reduce = conv1x1(channels, channels)
            self.residual_blocks = blocks(config, count, channels, level_heads)

    def forward(self, features: Tensor, residual: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        up = self.up(self.prompt(self.mix(features)))
        residual = self.residual_up(self.residual_mix(residual))
        joined = torch.cat([up, skip + SKIP_WEIGHT * residual], 1)
        if self.finest:
            return self.blocks(joined), residual
        return (
            self.blocks(self.reduce(joined)),
            self.residual_blocks(self.residual_reduce(residual)),
        )


class OfficialDecoder(nn.Module):
    """The decoder of the authors' released checkpoint (DESIGN section 4).

    A second decoder carries the residual embedding upwards. At every level, 0.8 of it is added to
    the encoder's skip. The finest level works on twice the channels of the first encoder level.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.channels = 2 * config.width
        bottom = config.channels(config.levels - 1)
        # The first level halves the latent's channels, unless it is also the finest.
        mixed = bottom // 2 if config.levels > 2 else bottom
        levels = [OfficialLevel(config, config.levels - 2, 2 * bottom, mixed, bottom)]
        for level in reversed(range(config.levels - 2)):
            below = config.channels(level + 1)
            levels.append(OfficialLevel(config, level, below, below, below))
        self.levels = nn.ModuleList(levels)
        self.refinement = blocks(config, config.refinement_blocks, self.channels, config.heads[0])

    def forward(self, embedding: Tensor, residual: Tensor, skips: list[Tensor]) -> Tensor:
        features = torch.cat([embedding, residual], 1)
        for level, skip in zip(self.levels, reversed(skips), strict=True):
            features, residual = level(features, residual, skip)
        return self.refinement(features)


class ResidualCondition(nn.Module):
    """A small MLP on the residual embedding that scales and shifts a level's features.

    It runs at the latent's resolution. Its two outputs are resized bilinearly to the level's. It
    starts as the identity.

    Input: features ``(N, channels, H, W)`` and the residual ``(N, residuals, h, w)``. Output: as
    the features.
    """

    def __init__(self, residuals: int, channels: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Conv2d(residuals, channels, 1), nn.GELU(), nn.Conv2d(channels, 2 * channels, 1)
        )
        for parameter in self.mlp[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor, residual: Tensor) -> Tensor:
        size = features.shape[-2:]
        condition = F.interpolate(
            self.mlp(residual), size=size, mode="bilinear", align_corners=False
        )
        scale, shift = condition.chunk(2, dim=1)
        return torch.addcmul(features + shift, features, scale)


class PaperLevel(nn.Module):
    """One level of the paper's decoder: prompt, upsample, join the skip, condition, blocks.

    Input: features ``(N, 2C, h, w)``, the residual embedding at its own resolution and the skip
    ``(N, C, 2h, 2w)``. Output: ``(N, C, 2h, 2w)``.
    """

    def __init__(self, config: NetworkConfig, level: int) -> None:
        super().__init__()
        channels = config.channels(level)
        self.prompt = prompt_block(config, level + 1, 2 * channels, config.heads[level + 1])
        self.up = Upsample(2 * channels, config.resample_kernel)
        self.reduce = conv1x1(2 * channels, channels)
        self.condition = ResidualCondition(config.channels(config.levels - 1), channels)
        self.blocks = blocks(config, config.blocks[level], channels, config.heads[level])

    def forward(self, features: Tensor, residual: Tensor, skip: Tensor) -> Tensor:
        features = self.reduce(torch.cat([self.up(self.prompt(features)), skip], 1))
        return self.blocks(self.condition(features, residual))


class PaperDecoder(nn.Module):
    """Decoder on cat[b, r], conditioned by an MLP on r at every level (paper section 5)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.channels = config.width
        bottom = config.channels(config.levels - 1)
        self.join = conv1x1(2 * bottom, bottom)
        self.levels = nn.ModuleList(
            PaperLevel(config, level) for level in reversed(range(config.levels - 1))
        )
        self.refinement = blocks(config, config.refinement_blocks, self.channels, config.heads[0])

    def forward(self, embedding: Tensor, residual: Tensor, skips: list[Tensor]) -> Tensor:
        features = self.join(torch.cat([embedding, residual], 1))
        for level, skip in zip(self.levels, reversed(skips), strict=True):
            features = level(features, residual, skip)
        return self.refinement(features)
