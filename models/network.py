"""The restoration network: scene judge, encoder, barycenter stage, conditioned decoder."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.barycenter import BarycenterStage, Latents
from models.blocks import Downsample, blocks, conv3x3
from models.config import NetworkConfig
from models.decoders import OfficialDecoder, PaperDecoder
from models.finish import Finish
from models.scene import Scene, SceneJudge, tone_change, whole_scene

LEVELLING_WINDOW = 8
"""Pixels at the network's resolution; a smaller window would take detail away."""


class Restoration(NamedTuple):
    """What a network returns for a batch."""

    correction: Tensor
    """``(N, 3, H, W)``, to be added to the input; of its precision, or float32 with a judge."""
    latents: Latents
    tone: Tensor | None = None
    """What the :class:`models.scene.SceneJudge` found, if the network has one. The correction has
    no gradient with respect to it."""


class Encoder(nn.Module):
    """The features of every level, finest first; the last is the latent.

    Input: ``(N, 3, H, W)``, with a judge ``(N, 6, H, W)``. Output of level i:
    ``config.channels(i)`` channels at ``1 / (config.unshuffle * 2**i)`` of the resolution.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(config.unshuffle),
            conv3x3(config.input_channels * config.unshuffle**2, config.width),
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
    """Turns decoder features into the correction at full resolution.

    If the network works on blocks of pixels, one pixel of a block may lead the others over a whole
    neighbourhood. That is an error, visible as a grid in smooth skies, so the lead is subtracted.

    Input: ``(N, channels, h, w)``. Output: ``(N, 3, s h, s w)``, s = ``config.unshuffle``.
    """

    def __init__(self, config: NetworkConfig, channels: int) -> None:
        super().__init__()
        self.scale = config.unshuffle
        self.project = conv3x3(channels, 3 * self.scale**2)
        self.shuffle = nn.PixelShuffle(self.scale)

    def forward(self, features: Tensor) -> Tensor:
        correction: Tensor = self.shuffle(self._without_grid(self.project(features)))
        return correction

    def _without_grid(self, pixels: Tensor) -> Tensor:
        """``(N, 3 s^2, h, w)`` minus each pixel's lead over its block, averaged over 3 windows."""
        if self.scale == 1:
            return pixels
        colours = pixels.unflatten(1, (3, -1))
        lead = (colours - colours.mean(2, keepdim=True)).flatten(1, 2)
        coarse = F.avg_pool2d(lead, LEVELLING_WINDOW, ceil_mode=True)
        coarse = F.avg_pool2d(coarse, 3, 1, 1, count_include_pad=False)
        lead = F.interpolate(coarse, scale_factor=LEVELLING_WINDOW, mode="bilinear")
        return pixels - lead[..., : pixels.shape[-2], : pixels.shape[-1]]


class BaryIR(nn.Module):
    """Blind all-in-one restoration through the Wasserstein barycenter space.

    Input: ``(N, 3, H, W)`` RGB in [0, 1], H and W multiples of ``config.multiple``. With a scene
    judge (``config.scene``) also the scenes that the images are parts of; by default every image
    is a whole scene.
    Output: a :class:`Restoration`; the restored image is ``input + correction``, not clipped.
    The latents have ``config.channels(config.levels - 1)`` channels at ``1 / config.multiple`` of
    the resolution. ``finish`` is for whole restored images, outside of this module's forward.

    Raises:
        ValueError: H or W is not a multiple of ``config.multiple``.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.judge = SceneJudge() if config.scene else None
        self.encoder = Encoder(config)
        self.stage = BarycenterStage(config)
        self.decoder: OfficialDecoder | PaperDecoder
        if config.conditioning == "official":
            self.decoder = OfficialDecoder(config)
        else:
            self.decoder = PaperDecoder(config)
        self.head = Head(config, self.decoder.channels)
        self.finish = Finish() if config.finish else None

    def forward(
        self, image: Tensor, scene: Scene | None = None, tone_mask: Tensor | None = None
    ) -> Restoration:
        """The restoration of a batch.

        Args:
            image: as described for the class.
            scene: as described for the class.
            tone_mask: ``(N,)``, 0 for images to restore without a tone, 1 for the others. All are
                judged.
        """
        if self.judge is None:
            correction, latents = self._restore(image)
            return Restoration(correction, latents)
        picture, place = scene or whole_scene(image, self.config.scene)
        tone = self.judge(picture)
        shown = tone if tone_mask is None else tone * tone_mask.view(-1, 1, 1, 1, 1)
        return self.with_tone(image, shown, place)._replace(tone=tone)

    def with_tone(self, image: Tensor, tone: Tensor, place: Tensor) -> Restoration:
        """The restoration of images whose tone is known, for a network with a judge.

        Args:
            image: as described for the class.
            tone: ``(N, 6, D, h, w)`` from the judge or :func:`models.scene.mean_tone`.
            place: of the images, as in :class:`models.scene.Scene`.
        """
        # The judge learns from whole scenes; it must not make up for what a patch lacks.
        change = tone_change(tone.detach(), image, place, self.config.unshuffle)
        # The ratio of the two shows how much the tone has amplified the noise.
        both = torch.cat([image, image + change.to(image.dtype)], 1)
        correction, latents = self._restore(both)
        return Restoration(correction + change, latents, tone)

    def _restore(self, seen: Tensor) -> tuple[Tensor, Latents]:
        height, width = seen.shape[-2:]
        if height % self.config.multiple or width % self.config.multiple:
            raise ValueError(
                f"{height} x {width} pixels: both must be multiples of {self.config.multiple}"
            )
        *skips, latent = self.encoder(seen)
        latents = self.stage(latent)
        embedding, residual = latents.feed(self.config.fed)
        return self.head(self.decoder(embedding, residual, skips)), latents


def parameter_count(module: nn.Module) -> int:
    """Number of learned values in a module."""
    return sum(p.numel() for p in module.parameters())


def build(config: NetworkConfig, device: str | torch.device = "cpu") -> BaryIR:
    """A freshly initialised network in channels-last memory."""
    with torch.device(device):
        return channels_last(BaryIR(config))


def channels_last(network: BaryIR) -> BaryIR:
    """The same network, its parameters in the faster memory format."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
