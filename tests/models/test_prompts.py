"""Prompt blocks, compared with their equations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from models.config import NetworkConfig
from models.network import build, parameter_count
from models.prompts import PromptBlock, PromptGeneration

BASE = NetworkConfig(
    width=6, blocks=(1, 1, 1), heads=(1, 2, 4), refinement_blocks=1, map_blocks=1, prompts=3
)


def test_generation_follows_its_equation() -> None:
    generation = PromptGeneration(5, 4, 3, 2).double()
    features = torch.randn(2, 5, 2, 2, dtype=torch.float64)
    scores = features.mean((2, 3)) @ generation.weights.weight.T + generation.weights.bias
    weights = scores.exp() / scores.exp().sum(1, keepdim=True)
    # At the components' own size there is nothing to interpolate.
    prompt = sum(weights[:, k, None, None, None] * generation.components[k] for k in range(3))
    torch.testing.assert_close(generation(features), generation.refine(prompt), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (16, 16)])
@pytest.mark.parametrize("heads", [1, 4])
def test_blocks_take_any_size(heads: int, size: tuple[int, int]) -> None:
    block = PromptBlock(BASE, 1, 8, heads)
    x = torch.randn(2, 8, *size)
    assert block(x).shape == x.shape
    torch.testing.assert_close(block(x[:1]), block(x)[:1], rtol=1e-4, atol=1e-5)


def test_prompt_size_doubles_from_level_to_level() -> None:
    network = build(replace(BASE, conditioning="paper", prompt_size=5), "meta")
    sizes = [level.prompt.generation.components.shape[-1] for level in network.decoder.levels]
    assert sizes == [5, 10]


VARIANTS: list[dict[str, Any]] = [
    {"conditioning": "official"},
    {"conditioning": "paper"},
    {"conditioning": "paper", "block": "residual", "unshuffle": 2},
    {"conditioning": "official", "blocks": (1, 1), "heads": (1, 3)},
    {"conditioning": "official", "blocks": (1, 1, 1, 1), "heads": (3, 2, 4, 16)},
]


@pytest.mark.parametrize("values", VARIANTS)
def test_prompts_only_add_parameters(values: dict[str, Any]) -> None:
    config = replace(BASE, **values)
    network = build(config)
    image = torch.rand(1, 3, config.multiple, 3 * config.multiple)
    correction, _, _ = network(image)
    assert correction.shape == image.shape
    plain = build(replace(config, prompts=0))
    assert set(plain.state_dict()) < set(network.state_dict())
    assert not any("prompt" in name for name in plain.state_dict())


def test_prompts_have_the_papers_size() -> None:
    """Table XII: PromptIR has 10.2 M more parameters than Restormer."""
    network = build(NetworkConfig(conditioning="paper", prompts=5), "meta")
    prompts = sum(parameter_count(level.prompt) for level in network.decoder.levels)
    assert prompts == pytest.approx(10.2e6, rel=0.05)
