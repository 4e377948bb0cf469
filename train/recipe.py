"""A training recipe: everything that decides what a run computes, as a TOML file."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class RecipeError(ValueError):
    """A recipe that cannot be followed; the message says which entry and why."""


@dataclass(frozen=True)
class Stage:
    """A part of the run at one patch and batch size; ``share`` of all steps."""

    share: float
    patch: int
    batch: int


@dataclass(frozen=True)
class SourceRecipe:
    """How often a source is drawn and what its L1 counts for."""

    probability: float
    loss_weight: float = 1.0
    paired_share: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """The paper's objective with everything it leaves open.

    Attributes:
        preset: name of the network's configuration.
        steps: optimiser steps of the network; the potentials take as many.
        sources: the sources by name. The barycenter weights l follow ``probability``.
        stages: patch and batch sizes, in order.
        sigma: lowest and highest noise level of ``denoise``, in 8-bit steps.
        clean_share: share of synthetic pairs that stay undegraded.
        map_weight: weight of the map objective L_T against L1.
        gamma: weight of IRC and BRO against MWB within L_T.
        learning_rate: of the network (AdamW, cosine to 1 % of it, linear warm-up).
        potentials_rate: of the potentials (RMSprop).
        warm_up: steps of the warm-up.
        clip: largest norm of the network's gradient.
        ema: decay of the averaged weights that are kept.
        seed: of weights and samples.
    """

    preset: str = "small"
    steps: int = 20000
    sources: dict[str, SourceRecipe] = field(default_factory=dict)
    stages: tuple[Stage, ...] = (Stage(1.0, 64, 12),)
    sigma: tuple[float, float] = (15.0, 50.0)
    clean_share: float = 0.08
    map_weight: float = 1e-3
    gamma: float = 0.05
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    potentials_rate: float = 1e-4
    warm_up: int = 200
    clip: float = 1.0
    ema: float = 0.999
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """A recipe of plain values, as TOML or JSON holds them.

        Raises:
            RecipeError: an entry is unknown or of the wrong kind.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise RecipeError(f"unknown entry {unknown[0]!r}")
        values = dict(values)
        try:
            values["sources"] = {k: SourceRecipe(**v) for k, v in values["sources"].items()}
            if "stages" in values:
                values["stages"] = tuple(Stage(**v) for v in values["stages"])
            if "sigma" in values:
                low, high = values["sigma"]
                values["sigma"] = (float(low), float(high))
            return cls(**values)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RecipeError(f"wrong or missing entry: {error}") from None

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Reads a recipe file.

        Raises:
            RecipeError: it is not there, not TOML or not a recipe.
        """
        try:
            return cls.from_dict(tomllib.loads(path.read_text("utf-8")))
        except OSError as error:
            raise RecipeError(f"{path}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecipeError) as error:
            raise RecipeError(f"{path}: {error}") from None

    def stage_at(self, step: int) -> tuple[Stage, int]:
        """The stage of a step and the step at which it ends."""
        total = sum(stage.share for stage in self.stages)
        end = 0.0
        for stage in self.stages:
            end += stage.share / total * self.steps
            if step < round(end):
                return stage, round(end)
        return self.stages[-1], self.steps
