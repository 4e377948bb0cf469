"""The objectives: whole losses, which side gets gradients, the weights of the sources."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.barycenter import Latents
from models.potentials import Potentials
from train.objective import OBJECTIVES, PaperObjective, ReferenceObjective, barycenter_weights
from train.recipe import Recipe, SourceRecipe

DATA = Path(__file__).parent / "data"
RECIPE = Recipe(sources={"denoise": SourceRecipe()}, gamma=0.05)


class Given(nn.Module):
    """Potentials with known values, whatever the embedding."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(values)

    def forward(self, barycenter: Tensor) -> Tensor:
        return self.values[-len(barycenter) :]


def test_reference_losses_are_those_of_the_authors_code() -> None:
    given = load_file(DATA / "losses_reference_code.safetensors")
    expected = json.loads((DATA / "losses_reference_code.json").read_text())
    counts = torch.tensor(expected["sample_counts"], dtype=torch.float64)
    weights = barycenter_weights("inverse", counts, counts)
    assert weights.tolist() == pytest.approx(expected["lambdas"], rel=1e-12)
    objective = ReferenceObjective(RECIPE, Given(given["potentials"]), weights, weights)
    latents = Latents(*(given[f"{n}_latent"] for n in ("source", "barycenter", "residual")))
    terms = objective.map_terms(latents, given["source_index"])
    l1 = (given["restored"] - given["target"]).abs().mean()
    total = float(terms["map"] + expected["l1_weight"] * l1)
    assert total == pytest.approx(expected["map_loss"], rel=1e-9)
    steps = objective.potentials_step(latents.barycenter, given["source_index"], 0.0)
    assert float(steps["potentials"]) == pytest.approx(expected["potential_loss"], rel=1e-9)
    assert float(steps["congruence"]) == pytest.approx(expected["congruence_penalty"], rel=1e-9)


def test_barycenter_weights_of_every_kind() -> None:
    counts, q = torch.tensor([6.0, 3.0, 1.0]), torch.tensor([0.2, 0.2, 0.6])
    found = {w: barycenter_weights(w, counts, q).tolist() for w in ("proportion", "uniform")}
    assert found["proportion"] == pytest.approx([0.6, 0.3, 0.1])
    assert found["uniform"] == pytest.approx([1 / 3] * 3)
    assert barycenter_weights("inverse", counts, q).tolist() == pytest.approx([1 / 9, 2 / 9, 2 / 3])
    assert barycenter_weights("sampling", counts, q).tolist() == pytest.approx(q.tolist())


@pytest.fixture
def latents() -> Latents:
    torch.manual_seed(0)
    z, b = torch.randn(2, 4, 6, 3, 3)
    b.requires_grad_()
    return Latents(z, b, z - b)


SOURCE = torch.tensor([0, 1, 0, 1])
HALF = torch.tensor([0.5, 0.5])


@pytest.mark.parametrize("kind", OBJECTIVES.values())
def test_each_step_moves_its_own_side(kind: type[PaperObjective], latents: Latents) -> None:
    objective = kind(RECIPE, Potentials(6, 2), HALF, HALF)
    before = [p.clone() for p in objective.potentials.parameters()]
    terms = objective.map_terms(latents, SOURCE)
    terms["map"].backward()
    assert latents.barycenter.grad is not None
    assert all(p.grad is None for p in objective.potentials.parameters())
    latents.barycenter.grad = None
    objective.potentials_step(latents.barycenter.detach(), SOURCE, 1.0)
    after = objective.potentials.parameters()
    moved = [not torch.equal(p, q) for p, q in zip(before, after, strict=True)]
    assert sum(moved) >= len(moved) - 1


@pytest.mark.parametrize("kind", OBJECTIVES.values())
def test_potentials_steps_lower_their_objective(
    kind: type[PaperObjective], latents: Latents
) -> None:
    objective = kind(RECIPE, Potentials(6, 2), HALF, HALF)
    barycenter = latents.barycenter.detach()
    first = objective.potentials_step(barycenter, SOURCE, 1.0)["potentials"]
    for _ in range(20):
        last = objective.potentials_step(barycenter, SOURCE, 1.0)["potentials"]
    assert last < first


@pytest.mark.parametrize("kind", OBJECTIVES.values())
@pytest.mark.parametrize("losses", [("mwb",), ("irc", "bro"), ("bro",)])
def test_only_the_losses_asked_for_are_computed(
    kind: type[PaperObjective], losses: tuple, latents: Latents
) -> None:
    recipe = Recipe(sources=RECIPE.sources, losses=losses)
    terms = kind(recipe, Potentials(6, 2), HALF, HALF).map_terms(latents, SOURCE)
    assert set(terms) == {*losses, "map"}
