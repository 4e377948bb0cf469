"""A training recipe: everything that decides what a run computes, as a TOML file."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from models.presets import PRESETS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


SAMPLES_A_STEP = 4096
"""Sample numbers that a step owns, and so the largest batch."""


class RecipeError(ValueError):
    """A recipe that cannot be followed; the message says which entry and why."""


def _check(
    name: str,
    value: Any,
    low: float = 0,
    high: float = math.inf,
    *,
    above: float = -math.inf,
    whole: bool = False,
) -> None:
    """Holds a number to ``low <= value <= high``, and ``value > above``; NaN never passes."""
    kinds = (int,) if whole else (int, float)
    in_range = type(value) in kinds and low <= value <= high and above < value < math.inf
    if not in_range:
        raise RecipeError(f"{name} is out of range or of the wrong kind: {value!r}")


@dataclass(frozen=True)
class Stage:
    """A part of the run at one patch and batch size; ``share`` of all steps."""

    share: float
    patch: int
    batch: int

    def __post_init__(self) -> None:
        _check("share", self.share, above=0)
        _check("patch", self.patch, 8, 4096, whole=True)
        _check("batch", self.batch, 1, SAMPLES_A_STEP, whole=True)


@dataclass(frozen=True)
class SourceRecipe:
    """How often a source is drawn and what its L1 counts for."""

    probability: float
    loss_weight: float = 1.0
    paired_share: float = 1.0

    def __post_init__(self) -> None:
        _check("probability", self.probability, above=0)
        _check("loss_weight", self.loss_weight)
        _check("paired_share", self.paired_share, 0, 1)


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

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise RecipeError(f"no preset {self.preset!r}; there are {', '.join(PRESETS)}")
        if not self.sources or not self.stages:
            raise RecipeError("a recipe needs sources and stages")
        for name in ("steps", "warm_up", "seed"):
            _check(name, getattr(self, name), whole=True)
        for name in ("map_weight", "gamma", "weight_decay"):
            _check(name, getattr(self, name))
        for name in ("learning_rate", "potentials_rate", "clip"):
            _check(name, getattr(self, name), above=0)
        for name in ("clean_share", "ema"):
            _check(name, getattr(self, name), 0, 1)
        _check("sigma", self.sigma[0])
        _check("sigma", self.sigma[1], self.sigma[0])

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
        except RecipeError:
            raise
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
