"""Networks of many shapes, the barycenter stage, both decoders, the potentials."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import nn

from models.barycenter import BarycenterStage
from models.config import NetworkConfig
from models.network import BaryIR, build
from models.potentials import Potentials

BASE = NetworkConfig(width=8, blocks=(1, 1, 1), heads=(1, 2, 4), refinement_blocks=1, map_blocks=1)


def run(config: NetworkConfig, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 3, *size)
    correction, latents = build(config)(image)
    assert correction.shape == image.shape
    assert correction.isfinite().all()
    height, width = (side // config.multiple for side in size)
    latent = (2, config.channels(config.levels - 1), height, width)
    assert all(z.shape == latent for z in latents)


@pytest.mark.parametrize(
    ("conditioning", "block", "levels"),
    list(product(("official", "paper"), ("transformer", "gated"), (2, 3, 4))),
)
def test_levels(conditioning: str, block: str, levels: int) -> None:
    config = replace(
        BASE,
        blocks=(1,) * levels,
        heads=(1, 2, 4, 8)[:levels],
        conditioning=conditioning,  # type: ignore[arg-type]
        block=block,  # type: ignore[arg-type]
    )
    run(config, (config.multiple, 3 * config.multiple))


@pytest.mark.parametrize(
    ("unshuffle", "kernel", "width"), [(1, 1, 8), (2, 3, 8), (2, 1, 12), (3, 3, 4)]
)
def test_shapes(unshuffle: int, kernel: int, width: int) -> None:
    config = replace(
        BASE, unshuffle=unshuffle, resample_kernel=kernel, width=width, conditioning="paper"
    )
    assert config.multiple == 4 * unshuffle
    run(config, (config.multiple * 3, config.multiple))


def test_no_blocks() -> None:
    run(replace(BASE, blocks=(0, 2, 0), heads=(2, 1, 8), refinement_blocks=0, map_blocks=0), (8, 4))


def test_stage() -> None:
    stage = BarycenterStage(BASE)
    nn.init.normal_(stage.norm.weight)
    latent = torch.randn(2, 32, 3, 5)
    source, barycenter, residual = stage(latent)
    torch.testing.assert_close(source, stage.norm(latent))
    torch.testing.assert_close(barycenter, stage.norm(stage.map(source)))
    torch.testing.assert_close(barycenter + residual, source)


def test_paper_condition_starts_as_identity() -> None:
    config = replace(BASE, conditioning="paper")
    level = build(config).decoder.levels[0]
    features = torch.randn(1, 16, 6, 4)
    same = level.condition(features, torch.randn(1, 32, 3, 2))
    torch.testing.assert_close(same, features)


@pytest.mark.parametrize("conditioning", ["official", "paper"])
def test_every_parameter_learns(conditioning: str) -> None:
    torch.manual_seed(1)
    network: BaryIR = build(replace(BASE, conditioning=conditioning))  # type: ignore[arg-type]
    for parameter in network.parameters():
        # Away from the zeros that paper's conditions start with.
        nn.init.normal_(parameter, std=0.1)
    network(torch.rand(1, 3, 16, 16)).correction.square().mean().backward()
    still = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (16, 16)])
def test_potentials_any_patch(size: tuple[int, int]) -> None:
    assert Potentials(8, 3)(torch.randn(5, 8, *size)).shape == (5, 3)


def test_potentials_are_independent() -> None:
    torch.manual_seed(2)
    sources, hidden, touched = 4, 6, 2
    potentials = Potentials(8, sources, hidden)
    b = torch.randn(3, 8, 4, 4)
    before = potentials(b)
    with torch.no_grad():
        for layer in potentials.features:
            if isinstance(layer, nn.Conv2d):
                group = layer.out_channels // sources
                layer.weight[touched * group : (touched + 1) * group] += 0.5
    after = potentials(b)
    others = [k for k in range(sources) if k != touched]
    torch.testing.assert_close(after[:, others], before[:, others], rtol=0, atol=0)
    assert (after[:, touched] != before[:, touched]).all()
