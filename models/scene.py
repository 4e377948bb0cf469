"""The scene judge: finds an offset and a gain for a photograph's colours.

Only the whole scene tells how much haze or darkness a photograph has, and a network on patches or
tiles sees just a part. The judge sees the whole photograph, shrunk to a square of fixed size, so
patches and tiles agree. In training it sees a photograph once, in use from several views
(:func:`mean_tone`).
"""

from __future__ import annotations

from contextlib import nullcontext
from itertools import product
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import conv3x3

FIELDS = 6
"""An offset and a gain for each colour."""
SHADES = 4
"""Brightnesses for which there are an offset and a gain; between them they are interpolated."""
STRIDE = 4
"""Side of the picture's pixel blocks that are folded into channels."""
WIDTHS = (32, 64, 96)
"""Channels of the judge's levels; the last has the resolution of the grid."""
COARSE = 8
"""A photograph is first shrunk to this many times the picture's side."""
VIEWS = (0.7, 0.9)
"""Sides of the enlarged corners, as shares of the picture's side (:func:`mean_tone`)."""


class Scene(NamedTuple):
    """The photographs that the images of a batch are parts of, and which parts they are."""

    picture: Tensor
    """``(N, 3, S, S)``, the whole photographs, RGB in [0, 1]."""
    place: Tensor
    """``(N, 4)``: top, left, bottom and right of the image, as shares of the photograph's sides;
    below 0 or above 1 where the image is padded."""


def picture_of(pixels: NDArray[Any], side: int) -> NDArray[np.float32]:
    """A photograph as the picture of a :class:`Scene`: ``(side, side, 3)`` in its value range.

    Shrinking takes means. They are float32, since 8 bits keep too little of the dark.

    Args:
        pixels: ``(H, W, 3)`` of any type and size.
    """

    def shrunk(pixels: NDArray[Any], most: int) -> NDArray[Any]:
        size = min(pixels.shape[1], most), min(pixels.shape[0], most)
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))

    # No float32 copy of a large photograph; the first step rounds, but only means of many pixels.
    small = shrunk(shrunk(pixels, COARSE * side).astype(np.float32), side)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)


def whole_scene(image: Tensor, side: int) -> Scene:
    """The scenes of images ``(N, 3, H, W)`` that are whole photographs."""
    height, width = image.shape[2:]
    small = F.adaptive_avg_pool2d(image.float(), (min(height, side), min(width, side)))
    picture = F.interpolate(small, (side, side), mode="bilinear", align_corners=False)
    return Scene(picture.to(image.dtype), whole_place(image))


def whole_place(image: Tensor) -> Tensor:
    """The place of images that are whole photographs, ``(N, 4)``."""
    # Computed on the device, since copying from the host would wait for the GPU.
    ends = torch.arange(4, device=image.device) // 2
    return ends.float().expand(len(image), 4)


class JudgeBlock(nn.Module):
    """Residual block of two convolutions; its norm tells every pixel about the whole picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.first = conv3x3(channels, channels)
        self.second = conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(self.norm(x))))


class SceneJudge(nn.Module):
    """Finds a scene's tone: offset and gain on a coarse grid over height, width and brightness.

    This is a bilateral grid (Chen, Paris, Durand, SIGGRAPH 2007) of coefficients, learned as in
    Gharbi et al., "Deep bilateral learning", SIGGRAPH 2017. At first it changes nothing.

    Input: ``(N, 3, S, S)`` in [0, 1]. Output: ``(N, 6, 4, S / 16, S / 16)``.
    """

    def __init__(self) -> None:
        super().__init__()
        first, *others = WIDTHS
        layers: list[nn.Module] = [
            nn.Conv2d(6 * STRIDE**2 + 2, first, 3, padding=1),
            JudgeBlock(first),
        ]
        for channels, before in zip(others, WIDTHS, strict=False):
            layers += [nn.Conv2d(before, channels, 2, stride=2), JudgeBlock(channels)]
        last = WIDTHS[-1]
        self.features = nn.Sequential(*layers, JudgeBlock(last))
        self.everywhere = nn.Sequential(
            nn.Conv2d(last, last, 1), nn.ReLU(), nn.Conv2d(last, last, 1)
        )
        self.tone = nn.Sequential(JudgeBlock(last), nn.Conv2d(last, FIELDS * SHADES, 1))
        for parameter in self.tone[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, picture: Tensor) -> Tensor:
        features = self.features(_cues(picture))
        features = features + self.everywhere(features.mean((2, 3), keepdim=True))
        return self.tone(features).unflatten(1, (FIELDS, SHADES))


def _cues(picture: Tensor) -> Tensor:
    """Values, their square roots (to separate dark ones) and the extremes of a neighbourhood.

    The darkest value around a pixel shows what haze adds to it (the dark channel: He, Sun, Tang,
    "Single image haze removal using dark channel prior", CVPR 2009).
    """
    values = F.pixel_unshuffle(torch.cat([picture, picture.clamp(min=0).sqrt()], 1), STRIDE)
    ends = torch.cat([-picture.amin(1, keepdim=True), picture.amax(1, keepdim=True)], 1)
    return torch.cat([values, F.max_pool2d(ends, 2 * STRIDE + 1, STRIDE, STRIDE)], 1)


def mean_tone(judge: nn.Module, picture: Tensor) -> Tensor:
    """The tone of a photograph: the judge's mean over eighteen views of its picture.

    The views are the whole picture and, at two sizes, its four corners, enlarged, each also
    mirrored. Where the judge is unsure, it decides anew for each, and the mean is closer to the
    truth. The whole counts as much as the corners of one size together (docs/training.md, trials
    before runs 10, 15 and 24). Every view counts at every place, with its nearest value where it
    does not show the place. Counting only the views that show it was worse.

    Args:
        picture: ``(N, 3, S, S)`` as in :class:`Scene`, float32.

    Returns:
        The tone, as :class:`SceneJudge` gives it.
    """
    side = picture.shape[-1]
    corners = [corner for share in VIEWS for corner in _corners(side, round(share * side))]
    views = [picture, *(_enlarged(picture, corner) for corner in corners)]
    # In one batch: on single small pictures, threads would mostly wait for each other.
    of_all, *of_corners = _both_ways(judge, torch.cat(views)).split(len(picture))
    rows, columns = of_all.shape[-2:]
    put_back = []
    for tone, (top, left, part) in zip(of_corners, corners, strict=True):
        around = picture.new_tensor([-top, -left, side - top, side - left]) / part
        put_back.append(_resampled(tone, around.expand(len(picture), 4), rows, columns))
    of_sizes = torch.stack(put_back).unflatten(0, (len(VIEWS), -1)).mean(1)
    return torch.cat([of_all[None], of_sizes]).mean(0)


def _corners(side: int, part: int) -> list[tuple[int, int, int]]:
    """The four corner squares of a larger square, each as top, left, side."""
    return [(top, left, part) for top, left in product((0, side - part), repeat=2)]


def _enlarged(picture: Tensor, corner: tuple[int, int, int]) -> Tensor:
    """A square of a picture, enlarged to the picture's size."""
    top, left, part = corner
    square = picture[..., top : top + part, left : left + part]
    return F.interpolate(square, size=picture.shape[-2:], mode="bilinear", align_corners=False)


def _both_ways(judge: nn.Module, pictures: Tensor) -> Tensor:
    """The mean of the tones of pictures and of their mirror images."""
    tone, mirrored = judge(torch.cat([pictures, pictures.flip(3)])).chunk(2)
    mean: Tensor = (tone + mirrored.flip(4)) / 2
    return mean


def tone_change(tone: Tensor, image: Tensor, place: Tensor, scale: int = 1) -> Tensor:
    """What a tone adds to an image, in float32: offset + gain * image.

    Args:
        tone: ``(N, 6, D, h, w)`` from :class:`SceneJudge`.
        image: ``(N, 3, H, W)``.
        place: as in :class:`Scene`.
        scale: side of the pixel blocks for which offset and gain are looked up, 1 for every pixel
            by itself. Between the blocks they are interpolated bilinearly.
    """
    kind = image.device.type
    # Device "meta", on which complexity is counted, has no autocast to switch off.
    half = torch.amp.is_autocast_available(kind)
    with torch.autocast(kind, enabled=False) if half else nullcontext():
        return _looked_up(tone.float(), image.float(), place, scale)


def _looked_up(tone: Tensor, image: Tensor, place: Tensor, scale: int) -> Tensor:
    shade = image.mean(1)
    shade = F.avg_pool2d(shade, scale) if scale > 1 else shade
    fields = _resampled(tone, place, *shade.shape[1:])
    bright = _tents(shade.clamp(0, 1).sqrt(), tone.shape[2]).movedim(-1, 1)
    fields = (fields * bright[:, None]).sum(2)
    if scale > 1:
        fields = F.interpolate(fields, scale_factor=scale, mode="bilinear", align_corners=False)
    offset, gain = fields.chunk(2, dim=1)
    return torch.addcmul(offset, gain, image)


def _resampled(tone: Tensor, place: Tensor, rows: int, columns: int) -> Tensor:
    """A tone at the centres of rows x columns parts of a place, ``(N, 6, D, rows, columns)``.

    The grid is regular, so every axis is looked up by itself, with matrix products instead of a
    gather, which not every device has.
    """
    down = _tents(_along(place[:, 0], place[:, 2], rows), tone.shape[3])
    across = _tents(_along(place[:, 1], place[:, 3], columns), tone.shape[4])
    return torch.einsum("nyr,nfdrc,nxc->nfdyx", down, tone, across)


def _along(first: Tensor, last: Tensor, count: int) -> Tensor:
    """Centres of ``count`` equal parts of an axis between two shares of it, ``(N, count)``."""
    centres = (torch.arange(count, device=first.device, dtype=first.dtype) + 0.5) / count
    return first[:, None] + (last - first)[:, None] * centres


def _tents(share: Tensor, cells: int) -> Tensor:
    """Linear interpolation weights, ``(..., cells)``, at shares of an axis, constant outside it."""
    nearest = (share * cells - 0.5).clamp(0, cells - 1)
    numbers = torch.arange(cells, device=share.device)
    return (1 - (nearest[..., None] - numbers).abs()).clamp(min=0)
