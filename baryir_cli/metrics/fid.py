"""FID: Frechet inception distance (Heusel et al., NeurIPS 2017), by pytorch-fid's convention."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from baryir_cli.engine.device import resolve_device
from baryir_cli.metrics.base import Features, MetricUnavailable
from baryir_cli.metrics.exact import dtype_on, to_tensor
from baryir_cli.metrics.inception import inception
from baryir_cli.metrics.weights import INCEPTION
from models.light import Pixels

CROP = 256
INPUT = 299
"""Side of the network's input in pixels."""


class FID:
    """The distance between two sets of images, by Inception's features of their centres."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.network = network.to(device, dtype_on(device))
        self.device = device

    @classmethod
    def load(cls, device: str = "cpu", *, download: bool = True) -> FID:
        """Loads the genuine weights.

        Raises:
            MetricUnavailable: they are not cached and cannot be fetched.
        """
        resolved = resolve_device(device)
        return cls(inception(INCEPTION.load(download=download)), resolved)

    @torch.inference_mode()
    def features(self, image: Pixels) -> Features:
        """Features (2048,) of the central 256 x 256 pixels, resized to 299 x 299, not antialiased.

        Smaller images use their largest central square, so that nothing is distorted or invented.
        """
        x = to_tensor(centre(image), self.device) / 255
        x = F.interpolate(x, (INPUT, INPUT), mode="bilinear", align_corners=False)
        features: Features = self.network(2 * x - 1)[0].double().cpu().numpy()
        return features

    def distance(self, a: Features, b: Features) -> float:
        """The distance between Gaussians fitted to two sets' features, (N, 2048) and (M, 2048).

        Raises:
            MetricUnavailable: a set has fewer than two images.
        """
        return frechet_distance(a, b)


def centre(image: Pixels) -> Pixels:
    """The central square of 256 pixels, or of the shorter side if that is smaller."""
    height, width = image.shape[:2]
    side = min(CROP, height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def frechet_distance(a: Features, b: Features) -> float:
    """|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)), S sample covariances.

    With S = A'A for centred features A, the trace of the root is the sum of the singular values
    of A B'. This avoids a matrix root, which is inexact with fewer images than features.

    Raises:
        MetricUnavailable: a set has fewer than two images.
    """
    if min(len(a), len(b)) < 2:
        raise MetricUnavailable("FID needs at least two images in each set")
    apart = a.mean(0) - b.mean(0)
    a, b = _root(a), _root(b)
    shared = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return max(0.0, float(apart @ apart + (a * a).sum() + (b * b).sum() - 2 * shared))


def _root(features: Features) -> Features:
    """A with A'A the covariance, and at most as many rows as columns."""
    centred = (features - features.mean(0)) / math.sqrt(len(features) - 1)
    if len(centred) > centred.shape[1]:
        centred = np.asarray(np.linalg.qr(centred, mode="r"))
    return centred
