"""The max-min loop: one step of the network and its map, one of the potentials, in turn."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.data import DataLoader

from models.network import BaryIR, build
from models.potentials import Potentials
from models.presets import preset
from models.weights import Weights
from train import checkpoint, losses
from train.distributed import Team, team
from train.initial import ancestry, start_from
from train.recipe import SAMPLES_A_STEP, Recipe, RecipeError
from train.sources import Patches, Source, gather

Log = Callable[[dict[str, Any]], None]


class DivergedError(RuntimeError):
    """A loss or a weight is no longer finite; the message names the last good checkpoint."""


class Trainer:
    """A network, its potentials and their optimisers, and one step of both.

    The state after step ``n`` depends only on the recipe, the data and ``n`` (on one kind of
    machine), not on how often the run was interrupted.
    """

    def __init__(
        self,
        recipe: Recipe,
        sources: list[Source],
        device: str = "cpu",
        *,
        start: Weights | None = None,
        team: Team = Team(),  # noqa: B008 (it is frozen)
    ) -> None:
        self.recipe = recipe
        self.sources = sources
        self.device = torch.device(device)
        self.team = team
        torch.manual_seed(recipe.seed)
        self.network: BaryIR = build(preset(recipe.preset), self.device)
        self.start = None
        if start is not None:
            start_from(self.network, start)
            self.start = ancestry(start)
        config = self.network.config
        latent_channels = config.channels(config.levels - 1)
        self.potentials = Potentials(latent_channels, len(sources)).to(self.device)
        self.average = build(config, self.device).requires_grad_(False)
        self.average.load_state_dict(self.network.state_dict())
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        self.potentials_optimiser = torch.optim.RMSprop(
            self.potentials.parameters(), recipe.potentials_rate
        )
        self.shared_network = team.wrap(self.network, self.device)
        self.shared_potentials = team.wrap(self.potentials, self.device)
        settings = [recipe.sources[s.name] for s in sources]
        q = torch.tensor([s.probability for s in settings], device=self.device)
        self.probabilities = q / q.sum()
        self.weights = self.probabilities
        self.loss_weights = torch.tensor([s.loss_weight for s in settings], device=self.device)
        self.step = 0

    def learning_rate(self) -> float:
        """Linear warm-up, then a cosine down to 1 % at the last step."""
        recipe = self.recipe
        if self.step < recipe.warm_up:
            return recipe.learning_rate * (self.step + 1) / recipe.warm_up
        done = (self.step - recipe.warm_up) / max(recipe.steps - recipe.warm_up, 1)
        return recipe.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1))))

    def train_step(self, degraded: Tensor, target: Tensor, source: Tensor) -> dict[str, Tensor]:
        """One step of the network, then one of the potentials, on one batch.

        Args:
            degraded: ``(N, 3, H, W)`` in [0, 1], and ``target`` likewise.
            source: ``(N,)``, the index of every sample's source.

        Returns:
            The loss terms, and ``l1_source``, the unweighted L1 of every source of the batch.
        """
        recipe = self.recipe
        importance = losses.importance(source, self.weights, self.probabilities)
        restoration = self.shared_network(degraded)
        latents = restoration.latents
        error = (degraded + restoration.correction - target).abs().flatten(1).mean(1)
        # The potentials learn in their own step alone.
        fixed = {name: p.detach() for name, p in self.potentials.named_parameters()}
        scores = functional_call(self.potentials, fixed, latents.barycenter)
        potentials = losses.congruent(scores, self.weights)
        barycenter = self.team.gather(latents.barycenter)
        residual = self.team.gather(latents.residual)
        terms = {
            "l1": (self.loss_weights[source] * error).mean(),
            "mwb": losses.mwb(latents, potentials, source, importance),
            "irc": losses.irc(residual, self.team.gather(source)),
            "bro": losses.bro(barycenter, residual),
        }
        map_objective = terms["mwb"] + recipe.gamma * (terms["irc"] + terms["bro"])
        total = terms["l1"] + recipe.map_weight * map_objective
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        self.optimiser.zero_grad()
        torch.autograd.backward(total)
        nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        self.optimiser.step()

        scores = self.shared_potentials(latents.barycenter.detach())
        ascent = losses.potentials_objective(
            losses.congruent(scores, self.weights), source, importance
        )
        self.potentials_optimiser.zero_grad()
        torch.autograd.backward(ascent)
        self.potentials_optimiser.step()

        self._average_weights()
        self.step += 1
        terms |= {
            "total": total,
            "potentials": ascent,
            "cost": losses.transport_cost(latents).mean(),
        }
        result = {name: value.detach() for name, value in terms.items()}
        result["error"] = error.detach()
        return result

    def is_finite(self) -> bool:
        """Whether all learned values are; a NaN gradient shows here before it does in a loss."""
        modules = (self.network, self.average, self.potentials)
        return all(bool(p.isfinite().all()) for m in modules for p in m.parameters())

    @torch.no_grad()
    def _average_weights(self) -> None:
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        means: list[Tensor] = list(self.average.parameters())
        values: list[Tensor] = list(self.network.parameters())
        torch._foreach_lerp_(means, values, 1 - decay)

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs."""
        return {
            "step": self.step,
            "start": self.start,
            "recipe": self.recipe.to_dict(),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "potentials": self.potentials.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "potentials_optimiser": self.potentials_optimiser.state_dict(),
            "rng": torch.get_rng_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`.

        Raises:
            RecipeError: the state is of another preset or of other sources.
        """
        recipe = state["recipe"]
        if recipe["preset"] != self.recipe.preset:
            raise RecipeError(
                f"the run was begun with preset {recipe['preset']}, not {self.recipe.preset}"
            )
        if list(recipe["sources"]) != list(self.recipe.sources):
            raise RecipeError(f"the run was begun with sources {', '.join(recipe['sources'])}")
        self.step = state["step"]
        self.start = state["start"]
        for name in ("network", "average", "potentials", "optimiser", "potentials_optimiser"):
            getattr(self, name).load_state_dict(state[name])
        torch.set_rng_state(state["rng"])

    def batches(self, workers: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Batches from the current step to the end of its stage."""
        stage, end = self.recipe.stage_at(self.step)
        patches = Patches(self.sources, self.probabilities.tolist(), stage.patch, self.recipe.seed)
        # A fixed stride between steps: sample numbers do not depend on the stages before.
        indices = [
            [step * SAMPLES_A_STEP + i for i in self.team.share(stage.batch)]
            for step in range(self.step, end)
        ]
        loader: DataLoader[Any] = DataLoader(
            patches,
            batch_sampler=indices,
            num_workers=workers,
            prefetch_factor=8 if workers else None,
        )
        for degraded, target, source in loader:
            yield self._images(degraded), self._images(target), source.to(self.device)

    def _images(self, batch: Tensor) -> Tensor:
        batch = batch.to(self.device, non_blocking=True)
        return batch.to(torch.float32, memory_format=torch.channels_last) / 255


def train(
    recipe: Recipe,
    data: Path,
    run: Path,
    *,
    log: Log,
    device: str = "cpu",
    start: Weights | None = None,
    workers: int = 1,
    checkpoint_every: int = 500,
    log_every: int = 50,
) -> Trainer:
    """Follows a recipe to its end, from the run's last checkpoint where there is one.

    Args:
        data: folder laid out as the reference README's ``data/Train``.
        run: folder of the run; holds ``last.pt`` and ``log.jsonl``.
        log: called with the means of every ``log_every`` steps.
        start: weights to begin from instead of random ones; a run that goes on ignores them.

    Raises:
        DivergedError: a loss or a weight is NaN or infinite; ``last.pt`` is from before that.
        train.recipe.RecipeError: the folder holds a run of another preset or other sources.
        train.checkpoint.CheckpointError: ``last.pt`` is damaged.
        train.pairs.SourceError: a source has no data.
    """
    options = {
        "sigma": recipe.sigma,
        "clean_share": recipe.clean_share,
        "paired_share": {name: s.paired_share for name, s in recipe.sources.items()},
    }
    sources = gather(list(recipe.sources), data, options)
    with team(torch.device(device)) as together:
        trainer = Trainer(recipe, sources, device, start=start, team=together)
        run.mkdir(parents=True, exist_ok=True)
        last = run / "last.pt"
        if last.exists():
            trainer.load_state(checkpoint.load(last))
        meter = Meter(trainer)
        while trainer.step < recipe.steps:
            for batch in trainer.batches(workers):
                meter.add(batch[2], trainer.train_step(*batch))
                if trainer.step % log_every == 0:
                    _note(meter.flush(), run, log, trainer)
                if trainer.step % checkpoint_every == 0 or trainer.step == recipe.steps:
                    if not trainer.is_finite():
                        raise _diverged(trainer, run)
                    if together.leads:
                        checkpoint.save(last, trainer.state())
    return trainer


def _note(entry: dict[str, Any], run: Path, log: Log, trainer: Trainer) -> None:
    """Writes one line of the log, unless the run is lost."""
    if not math.isfinite(entry["total"]):
        raise _diverged(trainer, run)
    if trainer.team.leads:
        with open(run / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        log(entry)


def _diverged(trainer: Trainer, run: Path) -> DivergedError:
    last = run / "last.pt"
    good = str(last) if last.exists() else "none"
    return DivergedError(f"not finite at step {trainer.step}; last good checkpoint: {good}")


class Meter:
    """Means of the loss terms, and of every source's L1, since the last flush."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self._reset()

    def _reset(self) -> None:
        self.started = time.perf_counter()
        self.samples = 0
        self.terms: list[dict[str, Tensor]] = []
        self.sources: list[Tensor] = []

    def add(self, source: Tensor, terms: dict[str, Tensor]) -> None:
        self.terms.append(terms)
        self.sources.append(source)
        self.samples += len(source)

    def flush(self) -> dict[str, Any]:
        seconds = time.perf_counter() - self.started
        team = self.trainer.team
        entry: dict[str, Any] = {"step": self.trainer.step, "rate": self.trainer.learning_rate()}
        entry["patches_per_second"] = round(self.samples * team.size / seconds, 2)
        for name in self.terms[0]:
            if name != "error":
                entry[name] = float(team.gather(torch.stack([t[name] for t in self.terms])).mean())
        errors = team.gather(torch.cat([t["error"] for t in self.terms]))
        sources = team.gather(torch.cat(self.sources))
        entry["l1_source"] = {
            s.name: float(errors[sources == k].mean())
            for k, s in enumerate(self.trainer.sources)
            if (sources == k).any()
        }
        self._reset()
        return entry


def with_steps(recipe: Recipe, steps: int | None) -> Recipe:
    """The recipe with another length, if one is given."""
    return recipe if steps is None else replace(recipe, steps=steps)
