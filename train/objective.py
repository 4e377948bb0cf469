"""The max-min game over the latents: the map's loss and the potentials' step."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.func import functional_call

from models.barycenter import Latents
from train import losses
from train.distributed import Team
from train.recipe import Recipe

Terms = dict[str, Tensor]


class Objective(ABC):
    """L_T and the potentials that the map plays against.

    Args:
        recipe: gamma, the losses to use and the potentials' learning rate.
        potentials: the free networks g; ``(N, C, h, w)`` to ``(N, K)``.
        weights: ``(K,)``, the barycenter weights l, sum 1.
        probabilities: ``(K,)``, how often the sampler draws each source, sum 1.
    """

    def __init__(
        self,
        recipe: Recipe,
        potentials: nn.Module,
        weights: Tensor,
        probabilities: Tensor,
        team: Team = Team(),  # noqa: B008 (it is frozen)
    ) -> None:
        self.recipe = recipe
        self.potentials = potentials
        self.weights = weights
        self.probabilities = probabilities
        self.team = team
        self.optimiser = torch.optim.RMSprop(potentials.parameters(), recipe.potentials_rate)

    @abstractmethod
    def map_terms(self, latents: Latents, source: Tensor) -> Terms:
        """The terms of L_T that the recipe uses, on a batch, and L_T itself as ``map``."""

    @abstractmethod
    def potentials_step(self, barycenter: Tensor, source: Tensor, factor: float) -> Terms:
        """One step of the potentials on detached embeddings.

        Args:
            factor: on the learning rate.
        """

    def fixed_potentials(self, barycenter: Tensor) -> Tensor:
        """g(b) for the map's loss: gradients reach b but not g, which learns in its own step."""
        fixed = {name: p.detach() for name, p in self.potentials.named_parameters()}
        return functional_call(self.potentials, fixed, barycenter)

    def _together(self, parts: Terms) -> Tensor:
        """MWB + gamma (IRC + BRO), from the terms in use."""
        weights = {"mwb": 1.0, "irc": self.recipe.gamma, "bro": self.recipe.gamma}
        return torch.stack([weights[name] * part for name, part in parts.items()]).sum(0)

    def _descend(self, loss: Tensor, factor: float) -> Tensor:
        """One optimiser step."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.potentials_rate * factor
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        self.team.average_gradients(self.potentials)
        self.optimiser.step()
        return loss.detach()


class PaperObjective(Objective):
    """Potentials congruent by construction, IRC without the sample itself (paper section 4)."""

    def map_terms(self, latents: Latents, source: Tensor) -> Terms:
        terms: Terms = {}
        wanted = self.recipe.losses
        if "mwb" in wanted:
            potentials = self.centred(self.fixed_potentials(latents.barycenter))
            terms["mwb"] = losses.mwb(latents, potentials, source, self._importance(source))
        residual = self.team.gather(latents.residual)
        if "irc" in wanted:
            terms["irc"] = losses.irc(residual, self.team.gather(source))
        if "bro" in wanted:
            terms["bro"] = losses.bro(self.team.gather(latents.barycenter), residual)
        terms["map"] = self._together(terms)
        return terms

    def potentials_step(self, barycenter: Tensor, source: Tensor, factor: float) -> Terms:
        potentials = self.centred(self.potentials(barycenter))
        loss = losses.potentials_objective(potentials, source, self._importance(source))
        return {"potentials": self._descend(loss, factor)}

    def centred(self, potentials: Tensor) -> Tensor:
        """f_k from g_k."""
        return losses.congruent(potentials, self.weights)

    def _importance(self, source: Tensor) -> Tensor:
        return losses.importance(source, self.weights, self.probabilities)


class ReferenceObjective(Objective):
    """What the authors' code computes (DESIGN section 3), every sample weighted by l_k."""

    def map_terms(self, latents: Latents, source: Tensor) -> Terms:
        wanted = self.recipe.losses
        residuals = self.team.gather(latents.residual)
        parts: Terms = {}
        if "mwb" in wanted:
            score = losses.own(self.fixed_potentials(latents.barycenter), source)
            parts["mwb"] = losses.reference_cost(latents) - score
        if "irc" in wanted:
            parts["irc"] = losses.reference_contrast(
                latents.residual, source, residuals, self.team.gather(source)
            )
        if "bro" in wanted:
            parts["bro"] = losses.squared_cosines(latents.barycenter, residuals).sum(1)
        each = self._together(parts)
        terms = {name: value.mean() for name, value in parts.items()}
        return terms | {"map": (self.weights[source] * each).mean()}

    def potentials_step(self, barycenter: Tensor, source: Tensor, factor: float) -> Terms:
        own = losses.own(self.potentials(barycenter), source)
        ascent = self._descend((self.weights[source] * own).mean(), factor)
        last = self.team.gather(barycenter)[-1:]
        penalty = losses.reference_congruence(self.potentials(last), self.weights)
        return {"potentials": ascent, "congruence": self._descend(penalty, factor)}


OBJECTIVES: dict[str, type[Objective]] = {
    "paper": PaperObjective,
    "reference": ReferenceObjective,
}


def barycenter_weights(weighting: str, counts: Tensor, probabilities: Tensor) -> Tensor:
    """The weights l_k of the sources, ``(K,)``, sum 1 (Table X).

    Args:
        weighting: ``proportion``, ``inverse``, ``uniform`` or ``sampling``.
        counts: ``(K,)``, number of images of every source.
        probabilities: ``(K,)``, how often each source is drawn.
    """
    weights = {
        "proportion": counts,
        "inverse": 1 / counts,
        "uniform": torch.ones_like(counts),
        "sampling": probabilities,
    }[weighting]
    return weights / weights.sum()
