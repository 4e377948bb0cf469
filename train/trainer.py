"""One step of the max-min game: network and map descend, then the potentials ascend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.barycenter import Latents
from models.hardware import gains_by_bf16
from models.network import BaryIR, Restoration, build
from models.potentials import Potentials
from models.scene import Scene, tone_change, whole_place
from models.weights import Weights
from train import losses
from train.distributed import Team
from train.initial import ancestry, start_from
from train.muon import Muon
from train.objective import OBJECTIVES, Objective, Terms, barycenter_weights
from train.recipe import Precision, Recipe, RecipeError, SourceRecipe, written
from train.sources import Batch, Source

SCENE_BLOCK = 4
"""Side in pixels of the blocks in which a scene's tone is computed during training."""
_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Trainer:
    """A network, its average, the objective with its potentials, and the optimisers.

    On a CPU, the state after step ``n`` depends only on the recipe, the data, ``n``, the kind of
    machine and the number of processes, not on how often the run was interrupted.
    """

    def __init__(
        self,
        recipe: Recipe,
        sources: Sequence[Source],
        device: str = "cpu",
        *,
        start: Weights | None = None,
        team: Team = Team(),  # noqa: B008 (it is frozen)
    ) -> None:
        _check_batches(recipe, team)
        self.recipe = recipe
        self.images = {source.name: source.count for source in sources}
        self.digests = {source.name: source.digest for source in sources}
        self.device = torch.device(device)
        # All steps of a stage have one shape, so searching for the fastest convolutions pays.
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True
        self.team = team
        self.step = 0
        self.start = ancestry(start) if start else None
        torch.manual_seed(recipe.seed)
        self.network = self._build(start)
        self._weigh([recipe.sources[source.name] for source in sources])
        self.objective = self._objective()
        self.average = build(self.network.config, self.device).requires_grad_(False)
        self.average.load_state_dict(self.network.state_dict())
        self.optimiser = _optimiser(recipe, self.network)
        self.precision = _at_best(recipe.precision, self.device)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        self.forward: Any = torch.compile(self.network) if recipe.compile else self.network

    def _build(self, start: Weights | None) -> BaryIR:
        network = build(self.recipe.config(), self.device)
        if start:
            start_from(network, start)
        _freeze(network, self.recipe.frozen)
        return network

    def _weigh(self, settings: Sequence[SourceRecipe]) -> None:
        """Puts the recipe's settings of the sources into tensors, ``(K,)``."""
        q = torch.tensor([s.probability for s in settings], device=self.device)
        self.probabilities = q / q.sum()
        self.loss_weights = torch.tensor([s.loss_weight for s in settings], device=self.device)
        self.toneless = torch.tensor([s.toneless for s in settings], device=self.device)
        self.always_toned = not self.toneless.any()

    def _objective(self) -> Objective:
        recipe, config = self.recipe, self.network.config
        latent_channels = config.channels(config.levels - 1)
        potentials = Potentials(latent_channels, len(self.images)).to(self.device)
        counts = torch.tensor(list(map(float, self.images.values())), device=self.device)
        weights = barycenter_weights(recipe.weights, counts, self.probabilities)
        kind = OBJECTIVES[recipe.objective]
        return kind(recipe, potentials, weights, self.probabilities, self.team)

    def train_step(self, batches: Sequence[Batch]) -> Terms:
        """One step of the network on ``batches``, then one of the potentials.

        Returns:
            The means of the loss terms, and as ``error`` the L1 of every sample, ``(N,)``.
        """
        factor = self.recipe.rate_factor(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate * factor
        self.optimiser.zero_grad()
        found: list[Terms] = []
        embedded: list[Tensor] = []
        masks = [self._tone_mask(batch.source) for batch in batches]
        for batch, mask in zip(batches, masks, strict=True):
            terms, barycenter = self._loss(batch, mask)
            torch.autograd.backward(self.scaler.scale(terms["total"]) / len(batches))
            found.append({name: value.detach() for name, value in terms.items()})
            embedded.append(barycenter.detach())
        self.team.average_gradients(self.network)
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        result = _joined(found)
        if "mwb" in self.recipe.losses:
            if self.recipe.fresh_latents:
                embedded = list(map(self._embed, batches, masks))
            source = torch.cat([batch.source for batch in batches])
            result |= self.objective.potentials_step(torch.cat(embedded), source, factor)
        average_into(self.average, self.network, self.recipe.ema, self.step)
        self.step += 1
        return result

    def _loss(self, batch: Batch, tone_mask: Tensor | None) -> tuple[Terms, Tensor]:
        """The loss terms of one batch, and its barycenter embeddings."""
        correction, latents, tone = self._forward(batch, tone_mask)
        difference = batch.degraded + correction - batch.target
        error = difference.abs().flatten(1).mean(1)
        weights = self.loss_weights[batch.source]
        terms = {"l1": (weights * error).mean()}
        pixels = terms["l1"]
        if self.recipe.pixel_loss == "psnr":
            pixels = terms["psnr_loss"] = (weights * losses.lacking(difference)).mean()
        terms["total"] = self.recipe.pixel_weight * pixels
        if tone is not None:
            place = whole_place(batch.scene)
            judged = batch.scene + tone_change(tone, batch.scene, place, SCENE_BLOCK)
            terms["scene"] = self._scene_loss(judged - batch.scene_target)
            terms["total"] = terms["total"] + self.recipe.pixel_weight * terms["scene"]
        if self.recipe.losses:
            terms |= self.objective.map_terms(latents, batch.source)
            terms["total"] = terms["total"] + self.recipe.map_weight * terms["map"]
        return terms | {"error": error}, latents.barycenter

    def _scene_loss(self, difference: Tensor) -> Tensor:
        if self.recipe.pixel_loss == "psnr":
            return losses.lacking(difference, losses.BEST_SCENE).mean()
        # Squared: for rare and uncertain changes, as of haze, L1 prefers no change at all.
        return difference.square().mean()

    def _forward(self, batch: Batch, tone_mask: Tensor | None) -> Restoration:
        """The network in the run's precision; its outputs for the losses in float32."""
        half = _HALF.get(self.precision)
        with torch.autocast(self.device.type, half, enabled=half is not None):
            scene = Scene(batch.scene, batch.place)
            correction, latents, tone = self.forward(batch.degraded, scene, tone_mask)
        return Restoration(correction.float(), Latents(*(x.float() for x in latents)), tone)

    def _tone_mask(self, source: Tensor) -> Tensor | None:
        """0 for samples that are restored without their scene's tone, else 1, ``(N,)``."""
        if self.always_toned:
            return None
        # Drawn for the whole batch, as by one process, and on the CPU: checkpoints keep that state.
        drawn = torch.rand(len(source) * self.team.size)[self.team.rank :: self.team.size]
        if self.device.type == "cuda":  # so that the copy does not wait for the GPU
            drawn = drawn.pin_memory()
        drawn = drawn.to(self.device, non_blocking=True)
        return (drawn >= self.toneless[source]).float()

    @torch.no_grad()
    def _embed(self, batch: Batch, tone_mask: Tensor | None) -> Tensor:
        return self._forward(batch, tone_mask).latents.barycenter

    def is_finite(self) -> bool:
        """Whether all parameters are finite; a NaN gradient shows here before it reaches a loss."""
        modules = (self.network, self.average, self.objective.potentials)
        return all(bool(p.isfinite().all()) for m in modules for p in m.parameters())

    def state(self) -> dict[str, Any]:
        """What a resumed run needs besides the network and its average."""
        return {
            "step": self.step,
            "recipe": self.recipe.to_dict(),
            "start": self.start,
            "images": self.images,
            "digests": self.digests,
            "potentials": self.objective.potentials.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "potentials_optimiser": self.objective.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "rng": torch.get_rng_state(),
        }

    def load_state(
        self,
        state: dict[str, Any],
        began: Recipe,
        network: dict[str, Tensor],
        average: dict[str, Tensor],
    ) -> list[str]:
        """The inverse of :meth:`state`.

        Args:
            began: the recipe in the state.
            network: the network's state.
            average: the state of its average.

        Returns:
            What has changed since the state was saved: entries of the recipe, and the images of
            sources. The run continues with the new values, so it is a different run from here on.

        Raises:
            RecipeError: the state belongs to another network, other sources or another optimiser.
        """
        if difference := began.config().difference(self.recipe.config()):
            name, before, after = difference
            raise _another(f"network ({name})", before, after)
        if list(began.sources) != list(self.recipe.sources):
            raise _another("list of sources", list(began.sources), list(self.recipe.sources))
        if began.optimiser != self.recipe.optimiser:
            raise _another("optimiser", began.optimiser, self.recipe.optimiser)
        self.step = state["step"]
        self.start = state["start"]
        self.network.load_state_dict(network)
        self.average.load_state_dict(average)
        self.objective.potentials.load_state_dict(state["potentials"])
        self.optimiser.load_state_dict(state["optimiser"])
        for group in self.optimiser.param_groups:
            group["weight_decay"] = self.recipe.weight_decay
        self.objective.optimiser.load_state_dict(state["potentials_optimiser"])
        if state["scaler"]:  # empty if the precision was another
            self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["rng"])
        return self.recipe.changes(began) + [
            self._images_since(name, had)
            for name, had in state["images"].items()
            if state["digests"][name] != self.digests[name]
        ]

    def _images_since(self, name: str, had: int) -> str:
        """Says that a source's images have changed since it had ``had`` of them."""
        has = self.images[name]
        what = f"{had} -> {has}" if had != has else "changed"
        return f"images of {name} {what}"


def _another(what: str, before: object, after: object) -> RecipeError:
    return RecipeError(
        f"this run began with another {what}: {written(before)}, not {written(after)}"
    )


@torch.no_grad()
def average_into(average: nn.Module, network: nn.Module, ema: float, step: int) -> None:
    """Moves averaged weights towards those after ``step``, faster while the run is young.

    Args:
        ema: final decay of the average.
    """
    decay = min(ema, (1 + step) / (10 + step))
    means: list[Tensor] = list(average.parameters())
    values: list[Tensor] = list(network.parameters())
    torch._foreach_lerp_(means, values, 1 - decay)


def _freeze(network: BaryIR, names: Sequence[str]) -> None:
    for name in names:
        part: nn.Module | None = getattr(network, name)
        if part is None:
            raise RecipeError(f"{name} cannot be frozen: this network has none")
        part.requires_grad_(False)
    if not any(p.requires_grad for p in network.parameters()):
        raise RecipeError("nothing is left to learn: all parts are frozen")


def _check_batches(recipe: Recipe, team: Team) -> None:
    for stage in recipe.stages:
        if stage.batch % team.size:
            raise RecipeError(
                f"a batch of {stage.batch} cannot be divided among {team.size} processes"
            )


def _at_best(precision: Precision, device: torch.device) -> Precision:
    """A precision, or float32 if bfloat16 would be slower."""
    return "fp32" if precision == "bf16" and not gains_by_bf16(device) else precision


def _optimiser(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    if recipe.optimiser == "muon":
        return Muon(network, recipe.learning_rate, recipe.weight_decay)
    if recipe.optimiser == "rmsprop":
        return torch.optim.RMSprop(
            network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
        )
    return torch.optim.AdamW(
        network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )


def _joined(found: Sequence[Terms]) -> Terms:
    """Terms of several batches as one: means, and ``error`` concatenated."""
    result = {
        name: torch.stack([t[name] for t in found]).mean() for name in found[0] if name != "error"
    }
    return result | {"error": torch.cat([t["error"] for t in found])}
