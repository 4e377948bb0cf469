"""The Inception network whose features FID compares (Szegedy et al., CVPR 2016).

This is the TensorFlow graph of 2015-12-05. It differs from the paper: averages exclude padding, and
the last block takes a maximum where the block before it takes an average.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

EPSILON = 1e-3
"""Epsilon of the graph's batch norms."""


class Branches(nn.Module):
    """Parallel branches on one input, with their outputs concatenated."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def inception(state: Mapping[str, NDArray[np.float32]]) -> nn.Sequential:
    """Builds the network up to its pooled features: (N, 3, 299, 299) in [-1, 1] to (N, 2048).

    Args:
        state: tensors of :data:`baryir_cli.metrics.weights.INCEPTION`.
    """
    network = nn.Sequential(
        _conv(3, 32, 3, stride=2, same=False),
        _conv(32, 32, 3, same=False),
        _conv(32, 64, 3),
        nn.MaxPool2d(3, 2),
        _conv(64, 80, 1),
        _conv(80, 192, 3, same=False),
        nn.MaxPool2d(3, 2),
        _block_35(192, 32),
        _block_35(256, 64),
        _block_35(288, 64),
        _down_to_17(288),
        *(_block_17(768, inner) for inner in (128, 160, 160, 192)),
        _down_to_8(768),
        _block_8(1280, _average()),
        _block_8(2048, nn.MaxPool2d(3, 1, 1)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    for number, convolution in enumerate(convolutions):
        kinds = ("weight", "beta", "mean", "var")
        _fold(convolution, *(torch.from_numpy(state[f"conv{number:02}.{k}"]) for k in kinds))
    return network.eval().requires_grad_(False)


def _fold(convolution: nn.Conv2d, weight: Tensor, beta: Tensor, mean: Tensor, var: Tensor) -> None:
    """Folds the batch norm, which has no scale of its own, into the convolution."""
    scale = 1 / torch.sqrt(var.double() + EPSILON)
    convolution.weight.data = (weight.double() * scale[:, None, None, None]).float()
    convolution.bias = nn.Parameter((beta.double() - mean.double() * scale).float())


def _conv(
    inputs: int, outputs: int, kernel: int | tuple[int, int], *, stride: int = 1, same: bool = True
) -> nn.Sequential:
    padding = "same" if same else "valid"
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.ReLU())


def _average() -> nn.AvgPool2d:
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False)


def _block_35(inputs: int, pooled: int) -> Branches:
    return Branches(
        _conv(inputs, 64, 1),
        nn.Sequential(_conv(inputs, 48, 1), _conv(48, 64, 5)),
        nn.Sequential(_conv(inputs, 64, 1), _conv(64, 96, 3), _conv(96, 96, 3)),
        nn.Sequential(_average(), _conv(inputs, pooled, 1)),
    )


def _down_to_17(inputs: int) -> Branches:
    down = _conv(96, 96, 3, stride=2, same=False)
    return Branches(
        _conv(inputs, 384, 3, stride=2, same=False),
        nn.Sequential(_conv(inputs, 64, 1), _conv(64, 96, 3), down),
        nn.MaxPool2d(3, 2),
    )


def _block_17(inputs: int, inner: int) -> Branches:
    return Branches(
        _conv(inputs, 192, 1),
        nn.Sequential(
            _conv(inputs, inner, 1), _conv(inner, inner, (1, 7)), _conv(inner, 192, (7, 1))
        ),
        nn.Sequential(
            _conv(inputs, inner, 1),
            _conv(inner, inner, (7, 1)),
            _conv(inner, inner, (1, 7)),
            _conv(inner, inner, (7, 1)),
            _conv(inner, 192, (1, 7)),
        ),
        nn.Sequential(_average(), _conv(inputs, 192, 1)),
    )


def _down_to_8(inputs: int) -> Branches:
    return Branches(
        nn.Sequential(_conv(inputs, 192, 1), _conv(192, 320, 3, stride=2, same=False)),
        nn.Sequential(
            _conv(inputs, 192, 1),
            _conv(192, 192, (1, 7)),
            _conv(192, 192, (7, 1)),
            _conv(192, 192, 3, stride=2, same=False),
        ),
        nn.MaxPool2d(3, 2),
    )


def _block_8(inputs: int, pool: nn.Module) -> Branches:
    def fork() -> Branches:
        return Branches(_conv(384, 384, (1, 3)), _conv(384, 384, (3, 1)))

    return Branches(
        _conv(inputs, 320, 1),
        nn.Sequential(_conv(inputs, 384, 1), fork()),
        nn.Sequential(_conv(inputs, 448, 1), _conv(448, 384, 3), fork()),
        nn.Sequential(pool, _conv(inputs, 192, 1)),
    )
