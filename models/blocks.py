"""Building blocks: layer norm, MDTA, GDFN, residual block, resampling (DESIGN section 4).

Every block maps ``(N, C, H, W)`` to the same shape, for any H and W. The caller chooses the memory
format. Channels-last is faster: layer norm and 1x1 convolutions then read contiguous channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import NetworkConfig


class LayerNorm(nn.Module):
    """Layer norm over the channels of every pixel, with bias, eps 1e-5."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, (x.shape[-1],), self.weight, self.bias, 1e-5)
        return x.permute(0, 3, 1, 2)


def conv1x1(inputs: int, outputs: int) -> nn.Conv2d:
    """1x1 convolution without bias."""
    return nn.Conv2d(inputs, outputs, 1, bias=False)


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """3x3 convolution without bias, zero padding."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


def depthwise3x3(channels: int) -> nn.Conv2d:
    """3x3 convolution of every channel by itself, without bias, zero padding."""
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)


class MDTA(nn.Module):
    """Multi-Dconv head transposed attention: attention between channels, linear in the pixels.

    Heads are contiguous groups of channels. q and k are L2-normalised over the pixels.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = conv1x1(channels, 3 * channels)
        self.depthwise = depthwise3x3(3 * channels)
        self.project = conv1x1(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        # Pixels x channels, the order of channels-last memory.
        qkv = self.depthwise(self.qkv(x)).permute(0, 2, 3, 1)
        q, k, v = qkv.reshape(n, h * w, 3, self.heads, c // self.heads).unbind(2)
        q = F.normalize(q, dim=1, eps=1e-12).permute(0, 2, 3, 1)
        k = F.normalize(k, dim=1, eps=1e-12).transpose(1, 2)
        attention = torch.softmax(q @ k * self.temperature, dim=-1)
        # Attention and projection are both linear in v, so one small matrix does both.
        project = self.project.weight.view(c, self.heads, c // self.heads)
        matrix = torch.einsum("ohd,nhde->nheo", project, attention).flatten(1, 2)
        return (v.flatten(2) @ matrix).unflatten(1, (h, w)).permute(0, 3, 1, 2)


class GDFN(nn.Module):
    """Gated-Dconv feed-forward network: the exact GELU of one half gates the other."""

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.expand = conv1x1(channels, 2 * hidden)
        self.depthwise = depthwise3x3(2 * hidden)
        self.project = conv1x1(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.depthwise(self.expand(x)).chunk(2, dim=1)
        return self.project(F.gelu(gate) * value)


class TransformerBlock(nn.Module):
    """Pre-norm MDTA and GDFN, each with a residual connection."""

    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.norm1 = LayerNorm(channels)
        self.attention = MDTA(channels, heads)
        self.norm2 = LayerNorm(channels)
        self.feed_forward = GDFN(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.feed_forward(self.norm2(x))

    def make_identity(self) -> None:
        """Turns the block into the identity, from which it can still learn."""
        nn.init.zeros_(self.attention.project.weight)
        nn.init.zeros_(self.feed_forward.project.weight)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a ReLU between them, added to the input.

    Without norm and bias, the block is homogeneous in its input. What it learns about noise
    therefore carries over to levels that it has not seen (Mohan et al., "Robust and interpretable
    blind image denoising via bias-free convolutional neural networks", ICLR 2020).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv3x3(channels, channels)
        self.second = conv3x3(channels, channels)
        # Start near the identity: no norm bounds the sum of many blocks.
        with torch.no_grad():
            self.second.weight.mul_(0.2)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))

    def make_identity(self) -> None:
        """Turns the block into the identity, from which it can still learn."""
        nn.init.zeros_(self.second.weight)


def blocks(config: NetworkConfig, count: int, channels: int, heads: int) -> nn.Sequential:
    """A sequence of the backbone's blocks."""
    if config.block == "residual":
        return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))
    return nn.Sequential(
        *(TransformerBlock(channels, heads, config.expansion) for _ in range(count))
    )


class Downsample(nn.Sequential):
    """``(N, C, H, W)`` to ``(N, 2C, H/2, W/2)``: convolution, PixelUnshuffle."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(_resampling(channels, channels // 2, kernel), nn.PixelUnshuffle(2))


class Upsample(nn.Sequential):
    """``(N, C, H, W)`` to ``(N, C/2, 2H, 2W)``: convolution, PixelShuffle."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(_resampling(channels, 2 * channels, kernel), nn.PixelShuffle(2))


def _resampling(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    return (conv1x1 if kernel == 1 else conv3x3)(inputs, outputs)
