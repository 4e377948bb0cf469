"""Barycenter maps: sizes, definitions, memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from models.config import NetworkConfig
from models.maps import MAPS, MLPBlock, SelfAttention, UNet, barycenter_map

BASE = NetworkConfig(width=4, blocks=(1, 1), heads=(1, 2), map_blocks=2, conditioning="paper")


def build_map(name: str, blocks: int = 2) -> nn.Module:
    torch.manual_seed(0)
    return barycenter_map(replace(BASE, map=name, map_blocks=blocks), 8)  # type: ignore[arg-type]


@pytest.mark.parametrize("blocks", [0, 1, 2, 5])
@pytest.mark.parametrize("name", MAPS)
def test_any_size_and_memory_format(name: str, blocks: int) -> None:
    mapping = build_map(name, blocks)
    for size in ((1, 1), (1, 6), (5, 3), (8, 8)):
        x = torch.randn(2, 8, *size)
        y = mapping(x)
        assert y.shape == x.shape
        assert torch.equal(y, x) == (blocks == 0)
        last = mapping(x.contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(last, y, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(mapping(x[1:]), y[1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", MAPS)
def test_half_precision_is_close_to_full(name: str, dtype: torch.dtype) -> None:
    mapping = build_map(name)
    x = 30 * torch.randn(1, 8, 6, 5)
    exact, rounded = mapping(x), mapping.to(dtype)(x.to(dtype))
    assert rounded.dtype == dtype
    torch.testing.assert_close(rounded.float(), exact, rtol=0.05, atol=0.5)


@pytest.mark.parametrize("name", MAPS)
def test_starts_near_the_identity(name: str) -> None:
    x = torch.randn(2, 8, 6, 6)
    assert (build_map(name)(x) - x).square().mean() < 0.3 * x.square().mean()


def test_self_attention_equals_its_heads_one_by_one() -> None:
    channels, heads = 6, 2
    block = SelfAttention(channels, heads).double()
    x = torch.randn(1, channels, 4, 3, dtype=torch.float64)
    q, k, v = block.qkv(x)[0].flatten(1).T.split(channels, 1)
    parts = []
    for head in range(heads):
        own = slice(head * 3, head * 3 + 3)
        scores = q[:, own] @ k[:, own].T / 3**0.5
        parts.append(scores.softmax(1) @ v[:, own])
    expected = block.project(torch.cat(parts, 1).T.reshape(1, channels, 4, 3))
    torch.testing.assert_close(block(x), expected, rtol=0, atol=1e-12)


class Largest(TorchDispatchMode):
    """Remembers the size of the largest tensor that any operation returned."""

    elements = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple) else (result,):
            if isinstance(value, Tensor):
                self.elements = max(self.elements, value.numel())
        return result


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("training", [False, True])
def test_self_attention_never_stores_its_scores(training: bool, dtype: torch.dtype) -> None:
    mapping, tokens = build_map("vit").to(dtype), 20 * 20
    x = torch.randn(1, 8, 20, 20, dtype=dtype)
    with Largest() as largest, torch.set_grad_enabled(training):
        y = mapping(x)
        if training:
            y.mean().backward()
    # The MLP's hidden channels, not tokens x tokens.
    assert largest.elements == 4 * 8 * tokens


def test_mlp_sees_single_pixels() -> None:
    block = MLPBlock(8)
    x = torch.randn(1, 8, 4, 5)
    turned = block(x.flip(2, 3))
    torch.testing.assert_close(turned, block(x).flip(2, 3), rtol=1e-4, atol=1e-5)
    changed = x.clone()
    changed[..., 2, 3] += 1
    difference = (block(changed) - block(x)).abs().amax(1)[0]
    assert torch.nonzero(difference > 1e-5).tolist() == [[2, 3]]


def test_a_unet_of_two_blocks_is_the_papers() -> None:
    """One block at half resolution, one at full."""
    unet = UNet(4, 2).double()
    (contract, expand) = unet.down[0], unet.up[0]
    x = torch.randn(1, 4, 6, 4, dtype=torch.float64)
    pooled = x.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    low = contract[2](contract[0](pooled).clamp(min=0))
    high = F.interpolate(low, size=(6, 4), mode="bilinear", align_corners=False)
    y = expand[2](expand[0](torch.cat([x, high], 1)).clamp(min=0))
    torch.testing.assert_close(unet(x), x + y, rtol=0, atol=1e-12)


def test_unet_does_not_shift_odd_sizes() -> None:
    """One more row at the end changes nothing far away, so tiles agree with each other."""
    torch.manual_seed(0)
    unet = UNet(4, 2).double()
    x = torch.randn(1, 4, 25, 3, dtype=torch.float64)
    torch.testing.assert_close(unet(x)[:, :, :16], unet(x[:, :, :24])[:, :, :16])
