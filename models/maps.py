"""Barycenter maps T, from the source latent to the barycenter embedding (paper Table XI).

Every map takes and returns ``(N, C, h, w)``, for any h and w, adds what it learns to its input, and
has ``config.map_blocks`` blocks (two in the paper). Where the paper gives no widths, they make two
blocks of ``mdta``, ``vit`` and ``unet`` similar in size (docs/networks.md).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import LayerNorm, TransformerBlock, conv1x1, conv3x3
from models.config import Map, NetworkConfig

MLP_EXPANSION = 4
"""Hidden channels of an MLP, relative to its channels, as in ViT."""


class MLPBlock(nn.Module):
    """Pre-norm MLP on every pixel by itself: the "MLP-based mapping" of Table XI.

    It sees no neighbours, only what the latent of the pixel holds.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = MLP_EXPANSION * channels
        self.norm = LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.GELU(), nn.Conv2d(hidden, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(self.norm(x))


class SelfAttention(nn.Module):
    """Multi-head self-attention between pixels.

    Time grows with (h w)^2. Where torch has a fused kernel (CPU and CUDA), memory grows only with
    h w, because the h w x h w matrix of scores is never stored. Elsewhere (MPS, old GPUs) it may
    be, as heads (h w)^2 numbers, and the tile limits it.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = conv1x1(channels, 3 * channels)
        self.project = conv1x1(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        # The fused kernels want the channels of a token next to each other.
        tokens = self.qkv(x).permute(0, 2, 3, 1).contiguous()
        q, k, v = tokens.view(n, h * w, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.project(y.transpose(1, 2).reshape(n, h, w, c).permute(0, 3, 1, 2))


class ViTBlock(nn.Module):
    """Pre-norm self-attention and MLP: the "ViT-style mapping" of Table XI.

    It has no position embedding, which would tie it to one size. Latents know their position from
    the padding of the encoder's convolutions.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm = LayerNorm(channels)
        self.attention = SelfAttention(channels, heads)
        self.feed_forward = MLPBlock(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.feed_forward(x + self.attention(self.norm(x)))


class ConvBlock(nn.Sequential):
    """3x3 convolution, ReLU, norm.

    The norm is over the channels of every pixel. Over a batch or a whole image, the result would
    depend on the other images, or on the tile.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(conv3x3(inputs, outputs), nn.ReLU(), LayerNorm(outputs))


class UNet(nn.Module):
    """A U of convolution-ReLU-norm blocks: the "UNet-style mapping" of Table XI.

    Half of the blocks lead down, each at half the resolution of the one before. The other half
    lead up again, joined by skips. If the number is odd, one is at the bottom. Of two, as in the
    paper, one works at half resolution and one at full. Pooling rounds up, so any size works.
    """

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        depth = blocks // 2
        self.down = nn.ModuleList(ConvBlock(channels, channels) for _ in range(depth))
        self.bottom = nn.Sequential(*(ConvBlock(channels, channels) for _ in range(blocks % 2)))
        self.up = nn.ModuleList(ConvBlock(2 * channels, channels) for _ in range(depth))
        # The last norm would give values of size 1, but T should start near the identity.
        last = [*self.bottom, *self.up][-1]
        nn.init.constant_(last.get_parameter("2.weight"), 0.1)

    def forward(self, x: Tensor) -> Tensor:
        y, skips = x, []
        for block in self.down:
            skips.append(y)
            y = block(F.avg_pool2d(y, 2, ceil_mode=True))
        y = self.bottom(y)
        for block, skip in zip(self.up, reversed(skips), strict=True):
            y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
            y = block(torch.cat([skip, y[..., : skip.shape[2], : skip.shape[3]]], 1))
        return x + y


def _mdta(config: NetworkConfig, channels: int) -> nn.Module:
    """MDTA+GDFN blocks: the paper's own map ("Ours" in Table XI)."""
    heads, expansion = config.heads[-1], config.expansion
    return nn.Sequential(
        *(TransformerBlock(channels, heads, expansion) for _ in range(config.map_blocks))
    )


def _vit(config: NetworkConfig, channels: int) -> nn.Module:
    heads = config.heads[-1]
    return nn.Sequential(*(ViTBlock(channels, heads) for _ in range(config.map_blocks)))


def _unet(config: NetworkConfig, channels: int) -> nn.Module:
    return UNet(channels, config.map_blocks)


def _mlp(config: NetworkConfig, channels: int) -> nn.Module:
    return nn.Sequential(*(MLPBlock(channels) for _ in range(config.map_blocks)))


MAPS: dict[Map, Callable[[NetworkConfig, int], nn.Module]] = {
    "mdta": _mdta,
    "vit": _vit,
    "unet": _unet,
    "mlp": _mlp,
}


def barycenter_map(config: NetworkConfig, channels: int) -> nn.Module:
    """The map of ``config`` on latents of ``channels``; the identity if it has no blocks."""
    return MAPS[config.map](config, channels) if config.map_blocks else nn.Identity()
