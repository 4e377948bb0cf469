"""Prompt blocks, which turn a Restormer backbone into a PromptIR.

From the equations of Potlapalli et al., "PromptIR: Prompting for All-in-One Blind Image
Restoration", NeurIPS 2023, section 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import blocks, conv1x1, conv3x3
from models.config import NetworkConfig

PROMPT_SHARE = 2 / 3
"""Channels of a prompt, relative to those of the features that it joins."""


class PromptGeneration(nn.Module):
    """A prompt that depends on the features: P = conv3x3( sum_k w_k P_k ).

    w = softmax(linear(mean of the features over the pixels)). The P_k are learned and have a fixed
    size; their sum is resized bilinearly to the features' size.

    Input: ``(N, features, H, W)``. Output: ``(N, channels, H, W)``.
    """

    def __init__(self, features: int, channels: int, count: int, size: int) -> None:
        super().__init__()
        self.components = nn.Parameter(torch.rand(count, channels, size, size))
        self.weights = nn.Linear(features, count)
        self.refine = conv3x3(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        weights = self.weights(features.mean((2, 3))).softmax(1)
        prompt = torch.tensordot(weights, self.components, 1)
        size = features.shape[-2:]
        return self.refine(F.interpolate(prompt, size, mode="bilinear", align_corners=False))


class PromptBlock(nn.Module):
    """Prompt interaction: features and their prompt pass through one block of the backbone.

    Input and output: ``(N, C, H, W)``, any H and W.
    """

    def __init__(self, config: NetworkConfig, level: int, features: int, heads: int) -> None:
        super().__init__()
        # Whole heads, so that the joined channels can be divided like the features.
        channels = max(round(PROMPT_SHARE * features / heads), 1) * heads
        size = config.prompt_size * 2 ** (config.levels - 1 - level)
        self.generation = PromptGeneration(features, channels, config.prompts, size)
        self.interaction = blocks(config, 1, features + channels, heads)
        self.reduce = conv1x1(features + channels, features)

    def forward(self, features: Tensor) -> Tensor:
        joined = torch.cat([features, self.generation(features)], 1)
        return self.reduce(self.interaction(joined))


def prompt_block(config: NetworkConfig, level: int, features: int, heads: int) -> nn.Module:
    """The prompt block for a level's features; the identity in a network without prompts.

    Args:
        level: 0 is the finest.
        features: channels of the features.
        heads: attention heads, a divisor of ``features``.
    """
    return PromptBlock(config, level, features, heads) if config.prompts else nn.Identity()
