"""Losses, compared with loops written from DESIGN section 3."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from models.barycenter import Latents
from train import losses

DATA = Path(__file__).parent / "data"

SOURCE = torch.tensor([0, 1, 0, 2, 1, 0])
WEIGHTS = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
EXACT = {"rel": 1e-12, "abs": 1e-12}


@pytest.fixture
def latents() -> Latents:
    torch.manual_seed(4)
    z, b = torch.randn(2, 6, 4, 3, 2, dtype=torch.float64)
    return Latents(z, b, z - b)


def cosine(a: Tensor, b: Tensor) -> float:
    a, b = a.flatten(), b.flatten()
    return float(a @ b / (a.norm() * b.norm()))


def test_congruent_potentials_sum_to_zero() -> None:
    g = torch.randn(6, 3, dtype=torch.float64)
    f = losses.congruent(g, WEIGHTS)
    torch.testing.assert_close(f @ WEIGHTS, torch.zeros(6, dtype=torch.float64), rtol=0, atol=1e-14)
    # Shifting all critics alike changes nothing.
    torch.testing.assert_close(losses.congruent(g + 7, WEIGHTS), f, rtol=0, atol=1e-13)


def test_importance_estimates_the_weighted_sum() -> None:
    weights, q = torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])
    source = torch.tensor([0, 1, 1, 1])
    values = torch.tensor([8.0, 1.0, 2.0, 3.0])
    # In the sampler's own proportions: 0.5 * 8 + 0.5 * (1 + 2 + 3) / 3.
    estimate = (losses.importance(source, weights, q) * values).mean()
    assert float(estimate) == pytest.approx(5.0)


def test_mwb_and_the_potentials_objective_equal_their_definitions(latents: Latents) -> None:
    potentials = torch.randn(6, 3, dtype=torch.float64)
    importance = losses.importance(SOURCE, WEIGHTS, torch.full((3,), 1 / 3, dtype=torch.float64))
    mwb = ascent = 0.0
    for i, k in enumerate(SOURCE.tolist()):
        f = float(potentials[i, k])
        cost = sum(float(v) ** 2 for v in latents.residual[i].flatten()) / 24
        mwb += float(WEIGHTS[k]) * 3 * (cost - f) / 6
        ascent += float(WEIGHTS[k]) * 3 * f / 6
    found = losses.mwb(latents, potentials, SOURCE, importance)
    assert float(found) == pytest.approx(mwb, **EXACT)
    found = losses.potentials_objective(potentials, SOURCE, importance)
    assert float(found) == pytest.approx(ascent, **EXACT)


def test_irc_equals_its_definition(latents: Latents) -> None:
    r, tau, terms = latents.residual, 0.07, []
    for i in range(6):
        others = [j for j in range(6) if j != i]
        similar = {j: math.exp(cosine(r[i], r[j]) / tau) for j in others}
        positive = sum(similar[j] for j in others if SOURCE[j] == SOURCE[i])
        if positive:
            terms.append(-math.log(positive / sum(similar.values())))
    assert len(terms) == 5, "the only sample of source 2 is left out"
    assert float(losses.irc(r, SOURCE)) == pytest.approx(sum(terms) / 5, **EXACT)


def test_bro_equals_its_definition(latents: Latents) -> None:
    b, r = latents.barycenter, latents.residual
    total = sum(cosine(b[i], r[j]) ** 2 for i in range(6) for j in range(6))
    assert float(losses.bro(b, r)) == pytest.approx(total / 36, **EXACT)


def test_reference_terms_are_those_of_the_authors_code() -> None:
    given = load_file(DATA / "losses_reference_code.safetensors")
    expected = json.loads((DATA / "losses_reference_code.json").read_text())
    z, b, r = (given[f"{name}_latent"] for name in ("source", "barycenter", "residual"))
    latents, source = Latents(z, b, r), given["source_index"]
    columns = torch.stack(
        [
            losses.reference_cost(latents),
            losses.squared_cosines(b, r).sum(1),
            losses.reference_contrast(r, source, r, source),
            losses.own(given["potentials"], source),
        ],
        1,
    )
    theirs = torch.tensor(expected["per_sample_rms_orth_contrast_potential"], dtype=torch.float64)
    torch.testing.assert_close(columns, theirs, rtol=1e-9, atol=0)
    weights = torch.tensor(expected["lambdas"], dtype=torch.float64)
    penalty = losses.reference_congruence(given["potentials"], weights)
    assert float(penalty) == pytest.approx(expected["congruence_penalty"], rel=1e-9)


@pytest.mark.parametrize(("given", "best"), [((), 40.0), ((27.0,), 27.0)])
def test_lacking_is_the_distance_to_the_best_psnr(given: tuple[float, ...], best: float) -> None:
    """The best minus the PSNR where that is low, almost nothing where it is high."""
    levels = torch.tensor([best - 20, best - 10, best + 20], dtype=torch.float64)
    sizes = (10 ** (-levels / 20)).view(3, 1, 1, 1)
    torch.manual_seed(0)
    signs = torch.randint(0, 2, (3, 3, 4, 5), dtype=torch.float64) * 2 - 1
    lacking = losses.lacking(sizes * signs, *given) * 20 / math.log(10)
    expected = [10 * math.log10(10 ** ((best - level) / 10) + 1) for level in levels.tolist()]
    assert lacking.tolist() == pytest.approx(expected, rel=1e-12)
    assert expected[0] == pytest.approx(20, abs=0.05)
    assert expected[2] < 0.05


@pytest.mark.parametrize("sources", [[0], [0, 1], [0, 0, 1]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_irc_leaves_out_samples_without_a_positive(sources: list[int], dtype: torch.dtype) -> None:
    draw = torch.Generator().manual_seed(0)
    residual = torch.randn(len(sources), 4, 3, 3, generator=draw).to(dtype).requires_grad_()
    contrast = losses.irc(residual, torch.tensor(sources))
    contrast.backward()
    assert residual.grad is not None
    assert residual.grad.isfinite().all()
    alone = len(set(sources)) == len(sources)
    assert (float(contrast.detach()) == 0) == alone
    assert bool(residual.grad.any()) != alone
