"""Blocks, compared with plain torch code written from DESIGN section 4."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from models.blocks import (
    GDFN,
    MDTA,
    Downsample,
    LayerNorm,
    ResidualBlock,
    TransformerBlock,
    Upsample,
)

SIZES = [(1, 1), (7, 5), (8, 8)]


def test_layer_norm_equals_that_of_torch() -> None:
    ours, theirs = LayerNorm(6).double(), nn.LayerNorm(6, eps=1e-5).double()
    for norm in (ours, theirs):
        nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(1))
        nn.init.normal_(norm.bias, generator=torch.Generator().manual_seed(2))
    x = torch.randn(2, 6, 3, 5, dtype=torch.float64)
    expected = theirs(x.movedim(1, -1)).movedim(-1, 1)
    torch.testing.assert_close(ours(x), expected, rtol=0, atol=1e-12)


def test_mdta_equals_its_heads_one_by_one() -> None:
    heads, channels = 2, 6
    block = MDTA(channels, heads).double()
    nn.init.normal_(block.temperature)
    x = torch.randn(1, channels, 4, 3, dtype=torch.float64)
    q, k, v = block.depthwise(block.qkv(x))[0].flatten(1).split(channels)
    parts = []
    for head in range(heads):
        rows = slice(head * 3, head * 3 + 3)
        unit_q = q[rows] / q[rows].norm(dim=1, keepdim=True)
        unit_k = k[rows] / k[rows].norm(dim=1, keepdim=True)
        scores = unit_q @ unit_k.T * block.temperature[head, 0, 0]
        parts.append(scores.softmax(1) @ v[rows])
    expected = block.project(torch.cat(parts).reshape(1, channels, 4, 3))
    torch.testing.assert_close(block(x), expected, rtol=0, atol=1e-12)


def test_gdfn_gates_with_gelu() -> None:
    block = GDFN(6, 2.66).double()
    assert block.project.in_channels == 15
    x = torch.randn(1, 6, 4, 3, dtype=torch.float64)
    first, second = block.depthwise(block.expand(x)).split(15, 1)
    gelu = first * 0.5 * (1 + torch.erf(first / 2**0.5))
    torch.testing.assert_close(block(x), block.project(gelu * second), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("block", [TransformerBlock(8, 4, 2.66), ResidualBlock(8)])
def test_any_size_and_memory_format(block: nn.Module, size: tuple[int, int]) -> None:
    x = torch.randn(2, 8, *size)
    y = block(x)
    assert y.shape == x.shape
    last = block(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(last, y, rtol=1e-4, atol=1e-5)


def test_images_of_a_batch_are_independent() -> None:
    x = torch.randn(3, 8, 5, 4)
    for block in (TransformerBlock(8, 2, 2.0), ResidualBlock(8)):
        alone = torch.cat([block(x[i : i + 1]) for i in range(3)])
        torch.testing.assert_close(block(x), alone, rtol=1e-4, atol=1e-5)


def test_residual_block_is_homogeneous() -> None:
    block, x = ResidualBlock(8).double(), torch.randn(1, 8, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(block(3 * x), 3 * block(x))
    inner = block.first.weight, block.second.weight
    expected = x + F.conv2d(F.conv2d(x, inner[0], padding=1).relu(), inner[1], padding=1)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("kernel", [1, 3])
def test_resampling_halves_and_doubles_the_sides(kernel: int) -> None:
    down, up = Downsample(8, kernel), Upsample(8, kernel)
    assert down[0].kernel_size == up[0].kernel_size == (kernel, kernel)
    x = torch.randn(1, 8, 6, 4)
    assert down(x).shape == (1, 16, 3, 2)
    assert up(x).shape == (1, 4, 12, 8)
    torch.testing.assert_close(up(x), F.pixel_shuffle(up[0](x), 2))
