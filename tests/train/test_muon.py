"""Muon: orthogonal steps for matrices, AdamW's for the rest."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.hardware import gains_by_bf16
from train.muon import STEP, Muon, matrices, orthogonal, steps_along


@pytest.mark.parametrize("shape", [(16, 16), (12, 60), (60, 12)])
def test_the_orthogonal_factor_is_approximated(shape: tuple[int, int]) -> None:
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    found = orthogonal(matrix[None])[0].float()
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.4
    assert values.max() < 1.3
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    likeness = (found * (u @ v)).sum() / (found.norm() * (u @ v).norm())
    assert likeness > 0.93


def test_steps_taken_together_equal_single_steps() -> None:
    draw = torch.Generator().manual_seed(0)
    shapes = [(12, 8, 3, 3), (16, 40), (12, 8, 3, 3), (40, 16)]
    directions = [torch.randn(*shape, generator=draw) for shape in shapes]
    directions[2] = directions[2].contiguous(memory_format=torch.channels_last)
    tolerance = 0.02 if gains_by_bf16(torch.device("cpu")) else 1e-4
    for direction, step in zip(directions, steps_along(directions), strict=True):
        alone = orthogonal(direction.flatten(1)[None])[0].float()
        expected = STEP * max(alone.shape) ** 0.5 * alone.view(direction.shape)
        torch.testing.assert_close(step, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("outputs", [8, 64])
def test_steps_have_the_strides_of_their_weights(outputs: int) -> None:
    weight = nn.Conv2d(16, outputs, 1, bias=False).to(memory_format=torch.channels_last).weight
    (step,) = steps_along([weight.detach()])
    assert step.stride() == weight.stride()


def test_only_mixing_weights_count_as_matrices() -> None:
    mixes = nn.Conv2d(16, 8, 3)
    depthwise, few = nn.Conv2d(16, 16, 3, groups=16), nn.Conv2d(16, 3, 3)
    linear, norm = nn.Linear(8, 8), nn.GroupNorm(1, 16)
    network = nn.ModuleList([mixes, depthwise, few, linear, norm])
    # Prompt components are pictures, not matrices.
    network.register_parameter("components", nn.Parameter(torch.zeros(8, 8, 4, 4)))
    assert [id(p) for p in matrices(network)] == [id(mixes.weight), id(linear.weight)]


def test_other_parameters_take_adamw_steps() -> None:
    ours, theirs = (nn.Parameter(torch.linspace(-1, 1, 5)) for _ in range(2))
    mine = Muon(nn.ParameterList([ours]), lr=0.1, weight_decay=0.01)
    torchs = torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.01)
    for step in range(5):
        for parameter, optimiser in ((ours, mine), (theirs, torchs)):
            optimiser.zero_grad()
            torch.autograd.backward((parameter * (step + 1)).square().sum())
            optimiser.step()
    torch.testing.assert_close(ours, theirs)


def test_steps_have_one_size_in_every_direction() -> None:
    layer = nn.Linear(24, 16, bias=False)
    weight = layer.weight
    nn.init.zeros_(weight)
    gradient = torch.randn(16, 24) * torch.logspace(-1, 1, 16)[:, None]
    optimiser = Muon(layer, lr=0.5)
    weight.grad = gradient
    optimiser.step()
    step = -weight.detach() / 0.5
    torch.testing.assert_close(step.square().mean().sqrt(), torch.tensor(0.2), rtol=0.3, atol=0)
    assert (step * gradient).sum() > 0, "downhill"


def test_muon_finds_a_minimum_and_resumes_from_its_state() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(64, 16)
    targets = inputs @ torch.randn(16, 8)

    def run(stop: int | None) -> tuple[float, torch.Tensor]:
        torch.manual_seed(1)
        layer = nn.Linear(16, 8)
        optimiser = Muon(layer, 0.1)
        for step in range(120):
            if step == stop:
                state = optimiser.state_dict()
                optimiser = Muon(layer, 0.1)
                optimiser.load_state_dict(state)
            for group in optimiser.param_groups:
                group["lr"] = 0.1 * (1 - step / 120)
            optimiser.zero_grad()
            loss = (layer(inputs) - targets).square().mean()
            torch.autograd.backward(loss)
            optimiser.step()
        return float(loss.detach()), layer.weight.detach()

    loss, weight = run(None)
    assert loss < 0.04 * float(targets.square().mean())
    torch.testing.assert_close(run(60)[1], weight)
