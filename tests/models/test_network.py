"""Networks of many shapes, the barycenter stage, both decoders, the potentials."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any, get_args

import pytest
import torch
from torch import nn

from models.barycenter import BarycenterStage, Latents
from models.config import Fed, NetworkConfig
from models.network import BaryIR, Head, build
from models.potentials import Potentials

BASE = NetworkConfig(width=8, blocks=(1, 1, 1), heads=(1, 2, 4), refinement_blocks=1, map_blocks=1)


def check_shapes(config: NetworkConfig, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 3, *size)
    correction, latents, _ = build(config)(image)
    assert correction.shape == image.shape
    assert correction.isfinite().all()
    height, width = (side // config.multiple for side in size)
    latent = (2, config.channels(config.levels - 1), height, width)
    assert all(z.shape == latent for z in latents)


@pytest.mark.parametrize(
    ("conditioning", "block", "levels"),
    list(product(("official", "paper"), ("transformer", "residual"), (2, 3, 4))),
)
def test_any_number_of_levels(conditioning: str, block: str, levels: int) -> None:
    config = replace(
        BASE,
        blocks=(1,) * levels,
        heads=(1, 2, 4, 8)[:levels],
        conditioning=conditioning,  # type: ignore[arg-type]
        block=block,  # type: ignore[arg-type]
    )
    check_shapes(config, (config.multiple, 3 * config.multiple))


@pytest.mark.parametrize(
    ("unshuffle", "kernel", "width"), [(1, 1, 8), (2, 3, 8), (2, 1, 12), (3, 3, 4)]
)
def test_unshuffle_kernel_and_width(unshuffle: int, kernel: int, width: int) -> None:
    config = replace(
        BASE, unshuffle=unshuffle, resample_kernel=kernel, width=width, conditioning="paper"
    )
    assert config.multiple == 4 * unshuffle
    check_shapes(config, (config.multiple * 3, config.multiple))


def test_sides_must_be_multiples() -> None:
    with pytest.raises(ValueError, match="61 x 96 pixels: both must be multiples of 4"):
        build(BASE)(torch.zeros(1, 3, 61, 96))


def test_levels_may_have_no_blocks() -> None:
    check_shapes(
        replace(BASE, blocks=(0, 2, 0), heads=(2, 1, 8), refinement_blocks=0, map_blocks=0), (8, 4)
    )


def test_stage_splits_the_source_into_barycenter_and_residual() -> None:
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


def filled(config: NetworkConfig) -> BaryIR:
    """A network without the zeros and ones that some parameters start with."""
    torch.manual_seed(1)
    network = build(config)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network


VARIANTS: list[dict[str, Any]] = [
    {"conditioning": "official"},
    {"conditioning": "paper"},
    {"conditioning": "official", "prompts": 2, "prompt_size": 3, "map": "vit"},
    {"conditioning": "paper", "prompts": 2, "prompt_size": 3, "map": "unet", "map_blocks": 3},
    {"conditioning": "paper", "prompts": 2, "block": "residual", "map": "mlp"},
    {"conditioning": "paper", "fed": "source_res"},
    {"conditioning": "paper", "scene": 32, "unshuffle": 2},
]


@pytest.mark.parametrize("values", VARIANTS)
def test_every_parameter_learns(values: dict[str, Any]) -> None:
    network = filled(replace(BASE, **values))
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0)
    answer = network(torch.rand(1, 3, 32, 32))
    # The judge's tone has a loss of its own.
    tone = torch.zeros(()) if answer.tone is None else answer.tone.square().mean()
    (answer.correction.square().mean() + tone).backward()
    optimiser.step()
    still = [name for name, p in network.named_parameters() if torch.equal(p, before[name])]
    assert not still


@pytest.mark.parametrize("fed", get_args(Fed))
@pytest.mark.parametrize("conditioning", ["official", "paper"])
def test_only_fed_embeddings_reach_the_output(conditioning: str, fed: Fed) -> None:
    """Table IX: the output has no gradient with respect to an embedding that is not fed."""
    network = filled(
        replace(BASE, conditioning=conditioning, fed=fed, prompts=2)  # type: ignore[arg-type]
    )
    *skips, _ = network.encoder(torch.rand(1, 3, 16, 16))
    latents = Latents(*(torch.randn(1, 32, 4, 4, requires_grad=True) for _ in range(3)))
    output = network.decoder(*latents.feed(fed), skips).square().mean()
    gradients = torch.autograd.grad(output, latents, allow_unused=True)
    reached = {
        name
        for name, gradient in zip(Latents._fields, gradients, strict=True)
        if gradient is not None and gradient.any()
    }
    expected = {"barycenter" if fed.startswith("bary") else "source"}
    assert reached == (expected | {"residual"} if fed.endswith("res") else expected)


def test_every_choice_of_fed_takes_the_same_weights() -> None:
    """The rows of Table IX differ only in what is fed."""
    image = torch.rand(1, 3, 16, 16)
    state = filled(BASE).state_dict()
    outputs = []
    for fed in get_args(Fed):
        network = build(replace(BASE, fed=fed))
        network.load_state_dict(state)
        outputs.append(network(image).correction)
    for i, output in enumerate(outputs):
        assert all(not torch.allclose(output, other) for other in outputs[:i])


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (16, 16)])
def test_potentials_take_patches_of_any_size(size: tuple[int, int]) -> None:
    assert Potentials(8, 3)(torch.randn(5, 8, *size)).shape == (5, 3)


def test_potentials_of_different_sources_are_independent() -> None:
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


def test_a_head_draws_details_but_no_grid() -> None:
    torch.manual_seed(0)
    head = Head(replace(BASE, unshuffle=2), 8)
    features = torch.randn(1, 8, 1, 1).expand(1, 8, 72, 72).clone()
    with torch.no_grad():
        flat = head(features)
        before = head.project(features)
        features[..., 36, 36] += 1
        spot = head(features) - flat
        drawn = head.project(features) - before
    # Away from the edges, where zero padding interrupts the flat picture.
    blocks = flat[..., 64:80, 64:80].unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    torch.testing.assert_close(blocks, blocks.mean(-1, keepdim=True).expand_as(blocks))
    assert (spot - head.shuffle(drawn)).norm() < 0.1 * spot.norm()
