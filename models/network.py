"""The restoration network: encoder, barycenter stage, conditioned decoder."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.barycenter import BarycenterStage, Latents
from models.blocks import Downsample, blocks, conv3x3
from models.config import NetworkConfig
from models.decoders import OfficialDecoder, PaperDecoder

AFFINE_FIELDS = 6
"""An offset and a gain for each colour."""
LEVELLING_WINDOW = 8
"""Pixels of the network's resolution; smaller ones would take away detail."""


class Restoration(NamedTuple):
    """What a network says of a batch."""

    correction: Tensor
    """``(N, 3, H, W)``: to be added to the input, in the input's own precision."""
    latents: Latents


class Encoder(nn.Module):
    """Features of every level, the finest first; the last is the latent."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(config.unshuffle),
            conv3x3(3 * config.unshuffle**2, config.width),
        )
        self.levels = nn.ModuleList(
            blocks(config, config.blocks[i], config.channels(i), config.heads[i])
            for i in range(config.levels)
        )
        self.down = nn.ModuleList(
            Downsample(config.channels(i), config.resample_kernel) for i in range(config.levels - 1)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        features = [self.levels[0](self.stem(image))]
        for down, level in zip(self.down, self.levels[1:], strict=True):
            features.append(level(down(features[-1])))
        return features


class Head(nn.Module):
    """From decoder features to the correction at full resolution.

    Where the network works on blocks of pixels, what one pixel of the block has ahead of the others
    over a whole neighbourhood is an error, seen as a grid in every smooth sky, and is taken away.
    Offset and gain are fields of the network's own resolution, drawn bilinearly over the image.
    """

    def __init__(self, config: NetworkConfig, channels: int) -> None:
        super().__init__()
        self.affine = config.affine
        self.scale = config.unshuffle
        self.details = 3 * self.scale**2
        self.project = conv3x3(channels, self.details + (AFFINE_FIELDS if self.affine else 0))
        if self.affine:
            nn.init.zeros_(self.project.weight[self.details :])
        self.shuffle = nn.PixelShuffle(self.scale)

    def forward(self, features: Tensor, image: Tensor) -> Tensor:
        fields = self.project(features)
        detail: Tensor = self.shuffle(self._without_grid(fields[:, : self.details]))
        if not self.affine:
            return detail
        smooth = fields[:, self.details :]
        if self.scale > 1:
            smooth = F.interpolate(smooth, scale_factor=self.scale, mode="bilinear")
        offset, gain = smooth.chunk(2, dim=1)
        return torch.addcmul(detail + offset, gain, image)

    def _without_grid(self, pixels: Tensor) -> Tensor:
        """``(N, 3 s^2, h, w)``, less every pixel's lead over its block, a mean over 3 windows."""
        if self.scale == 1:
            return pixels
        blocks = pixels.unflatten(1, (3, -1))
        lead = (blocks - blocks.mean(2, keepdim=True)).flatten(1, 2)
        coarse = F.avg_pool2d(lead, LEVELLING_WINDOW, ceil_mode=True)
        coarse = F.avg_pool2d(coarse, 3, 1, 1, count_include_pad=False)
        lead = F.interpolate(coarse, scale_factor=LEVELLING_WINDOW, mode="bilinear")
        return pixels - lead[..., : pixels.shape[-2], : pixels.shape[-1]]


class BaryIR(nn.Module):
    """Blind all-in-one restoration through the Wasserstein barycenter space.

    Input: ``(N, 3, H, W)`` RGB in [0, 1], H and W multiples of ``config.multiple``.
    Output: a :class:`Restoration`; the restored image is ``input + correction``, not clipped.
    The latents have ``config.channels(config.levels - 1)`` channels at ``1 / config.multiple``.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.stage = BarycenterStage(config)
        self.decoder: OfficialDecoder | PaperDecoder
        if config.conditioning == "official":
            self.decoder = OfficialDecoder(config)
        else:
            self.decoder = PaperDecoder(config)
        self.head = Head(config, self.decoder.channels)

    def forward(self, image: Tensor) -> Restoration:
        *skips, latent = self.encoder(image)
        latents = self.stage(latent)
        embedding, residual = latents.feed(self.config.fed)
        correction = self.head(self.decoder(embedding, residual, skips), image)
        return Restoration(correction, latents)


def parameter_count(module: nn.Module) -> int:
    """Number of learned values."""
    return sum(p.numel() for p in module.parameters())


def build(config: NetworkConfig, device: str | torch.device = "cpu") -> BaryIR:
    """A freshly initialised network in channels-last memory."""
    with torch.device(device):
        return channels_last(BaryIR(config))


def channels_last(network: BaryIR) -> BaryIR:
    """The network itself, its parameters in the memory format that is faster."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
