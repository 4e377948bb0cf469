"""A training recipe: a TOML file with everything that decides what a run computes."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from models.config import ConfigError, NetworkConfig
from models.presets import PRESETS, preset
from models.wording import choices, no_such, numbers, shown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


SAMPLES_A_BATCH = 4096
"""Sample numbers reserved for each batch, and so the largest batch."""
LARGEST = 1e9
"""Largest number that is not a count: its sums and squares stay finite in float32."""

SHIPPED = ("paper", "reference", "small", "small-judge", "small-rest", "small-gpu", "small-trial")
"""The recipes that come with the package."""

SourceName = Literal["denoise", "derain", "dehaze", "deblur", "lowlight", "single"]
Objective = Literal["paper", "reference"]
Loss = Literal["mwb", "irc", "bro"]
PixelLoss = Literal["l1", "psnr"]
NetworkPart = Literal["judge", "encoder", "stage", "decoder", "head"]
Weighting = Literal["proportion", "inverse", "uniform", "sampling"]
Optimiser = Literal["rmsprop", "adamw", "muon"]
Schedule = Literal["step", "cosine", "constant"]
Precision = Literal["fp32", "bf16", "fp16"]


Entry = TypeVar("Entry", "Stage", "SourceRecipe")


class RecipeError(ValueError):
    """A recipe that cannot be followed; the message names the entry and the reason.

    Args:
        problem: what is wrong; if ``entry`` is given, the text after its name.
        entry: the wrong entry, if a single one is.
        table: the table that holds it, if not the recipe itself.
    """

    def __init__(self, problem: str, entry: str = "", table: str = "") -> None:
        where = f"{table}: " if table else ""
        super().__init__(where + (f"{entry} {problem}" if entry else problem))
        self.problem = problem
        self.entry = entry


def _check(
    name: str,
    value: Any,
    low: float = 0,
    high: float | None = None,
    *,
    above: float | None = None,
    whole: bool = False,
) -> None:
    """Requires ``low <= value <= high`` and ``value > above``; NaN never passes."""
    kinds = (int,) if whole else (int, float)
    within = type(value) in kinds and low <= value < math.inf and (high is None or value <= high)
    if not within or (above is not None and value <= above):
        raise _wrong(name, value, numbers(low, high, above=above, whole=whole))
    if not whole and value > LARGEST:
        raise _too_large(name, value)


def _check_choice(name: str, value: Any, known: Sequence[Any]) -> None:
    if value not in known or type(value) is not type(known[0]):
        raise _wrong(name, value, choices(str(choice).lower() for choice in known))


def _wrong(name: str, value: Any, wanted: str) -> RecipeError:
    return RecipeError(f"{shown(value)}: use {wanted}", name)


def _too_large(name: str, value: Any) -> RecipeError:
    return _wrong(name, value, "a smaller number")


@dataclass(frozen=True)
class Stage:
    """A part of the run with one patch and batch size, for a ``share`` of all steps.

    ``scene`` is the side of the square that is degraded and shown to a scene judge. The patch is
    cut from it; if the patch is larger, it is the scene.
    """

    share: float
    patch: int
    batch: int
    scene: int = 0

    def __post_init__(self) -> None:
        _check("share", self.share, above=0)
        _check("patch", self.patch, 8, 4096, whole=True)
        _check("batch", self.batch, 1, SAMPLES_A_BATCH, whole=True)
        _check("scene", self.scene, 0, 4096, whole=True)


@dataclass(frozen=True)
class SourceRecipe:
    """How often a source is drawn and how much its pixels count.

    Attributes:
        probability: how often it is drawn, relative to the other sources.
        loss_weight: weight of its pixel loss.
        paired_share: how often a pair of the official folders is drawn if pairs can be synthesised
            too. None means half the time if folders of clean photographs are given, else always.
        zoom: photographs are shrunk by up to this factor. A patch then shows more of the scene at
            the same cost, which haze and darkness need.
        variety: how much the tones of its photographs vary, and the exposure of the degraded
            images of its pairs, which suits only ``lowlight`` (:mod:`train.variety`). 1 is about
            how much photographs differ.
        toneless: share of patches that are restored without the scene judge's tone, as noisy and
            rainy photographs are in use (docs/networks.md, "Several passes"); not for degradations
            that only a judge can recognise.
        noise_share: share of its degraded synthesised pairs that also get noise, as haze and
            darkness often have; not for ``denoise``, nor for blur that the network deconvolves,
            since noise would ruin that.
    """

    probability: float = 1.0
    loss_weight: float = 1.0
    paired_share: float | None = None
    zoom: float = 1.0
    variety: float = 0.0
    toneless: float = 0.0
    noise_share: float = 0.0

    def __post_init__(self) -> None:
        _check("probability", self.probability, above=0)
        _check("loss_weight", self.loss_weight)
        _check("zoom", self.zoom, 1, 64)
        _check("variety", self.variety, 0, 4)
        _check("toneless", self.toneless, 0, 1)
        _check("noise_share", self.noise_share, 0, 1)
        if self.paired_share is not None:
            _check("paired_share", self.paired_share, 0, 1)


def _five() -> dict[str, SourceRecipe]:
    """The paper's sources."""
    names = ("denoise", "derain", "dehaze", "deblur", "lowlight")
    return {name: SourceRecipe() for name in names}


@dataclass(frozen=True)
class Recipe:
    """An objective of DESIGN section 3, with everything that it leaves open.

    Entries missing from a file are as in ``paper.toml``. If it has a table of sources, only those
    are trained on.

    Attributes:
        objective: ``paper`` (potentials congruent by construction) or ``reference`` (what the
            authors' code does: congruence as a penalty, each sample its own positive).
        preset: name of the network's configuration.
        network: fields of the configuration that differ from the preset.
        steps: optimiser steps of the network, and as many of the potentials.
        sources: the sources by name, their probabilities relative to each other.
        stages: patch and batch sizes, in order.
        noise: noise levels of ``denoise`` in 8-bit steps.
        noise_range: lowest and highest level; any between them is used instead of ``noise``.
        film_share: share of pairs that get film grain instead of white noise: of ``denoise`` if
            its noise has a range, and of pairs noisy by ``noise_share``.
        camera_share: share of the rest of these, and of ``lowlight``'s synthetic pairs, that get a
            camera's noise.
        jpeg_share: share of degraded synthetic pairs that then become JPEGs. ``denoise`` has none
            if it has levels, and of deblurred pairs it is always a quarter.
        clean_share: share of synthetic pairs that stay undegraded.
        grey_share: share of all pairs that are of one colour, degraded and target alike
            (:func:`train.variety.one_colour`).
        flat_share: share of all pairs whose scene has a flat part, as around a slanted scan or in a
            clipped sky (:func:`train.surroundings.surround`).
        pixel_loss: ``l1``, or ``psnr``: the mean over the samples of what their PSNR lacks, so
            that every source counts by the decibel. Its gradients are about six times those of a
            weighted L1, so ``map_weight`` must be as much larger. A scene judge's loss is its
            squared error with ``l1``, and what its PSNR lacks with ``psnr``.
        pixel_weight: weight of that loss and of a scene judge's.
        map_weight: weight of the map objective L_T.
        gamma: weight of IRC and BRO relative to MWB within L_T.
        losses: which of MWB, IRC and BRO are used (Table IX); with none there is no L_T. A scene
            judge learns from its own loss in either case.
        weights: the barycenter weights l_k: in ``proportion`` to a source's number of images,
            ``inverse`` to it, ``uniform`` (Table X), or equal to the ``sampling`` probabilities.
        frozen: parts of the network that stay as they are when the run begins.
        fresh_latents: whether the potentials' step takes b from a second forward, after the
            network's update, instead of the forward of the network's loss.
        optimiser: of the network; the potentials always use RMSprop.
        learning_rate: of the network.
        weight_decay: of the network; decoupled with ``adamw`` and ``muon``, part of the gradient
            with ``rmsprop``.
        potentials_rate: learning rate of the potentials.
        schedule: of both rates, after a linear warm-up: ``step`` (a tenth after each of
            ``drops``), ``cosine`` (to 1 %) or ``constant``.
        drops: shares of the run after which the ``step`` schedule divides by ten.
        warm_up: steps of the warm-up.
        clip: largest norm of the network's gradient.
        accumulate: batches per step, each of the size that its stage has.
        ema: final decay of the averaged weights; 0 for no average.
        precision: of the network's forward and backward; the losses are always float32. A
            processor on which ``bf16`` would be slower computes in ``fp32``.
        compile: whether to use torch.compile on the network.
        seed: of weights and samples.
    """

    objective: Objective = "paper"
    preset: str = "paper"
    network: dict[str, Any] = field(default_factory=dict)
    steps: int = 300000
    sources: dict[str, SourceRecipe] = field(default_factory=_five)
    stages: tuple[Stage, ...] = (Stage(1.0, 128, 8),)
    noise: tuple[float, ...] = (15.0, 25.0, 50.0)
    noise_range: tuple[float, float] | None = None
    film_share: float = 0.0
    camera_share: float = 0.0
    jpeg_share: float = 0.0
    clean_share: float = 0.0
    grey_share: float = 0.0
    flat_share: float = 0.0
    pixel_loss: PixelLoss = "l1"
    pixel_weight: float = 1.0
    map_weight: float = 5e-3
    gamma: float = 0.1
    losses: tuple[Loss, ...] = ("mwb", "irc", "bro")
    weights: Weighting = "proportion"
    frozen: tuple[NetworkPart, ...] = ()
    fresh_latents: bool = False
    optimiser: Optimiser = "rmsprop"
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    potentials_rate: float = 1e-4
    schedule: Schedule = "step"
    drops: tuple[float, ...] = (0.5, 0.8)
    warm_up: int = 200
    clip: float = 1.0
    accumulate: int = 1
    ema: float = 0.999
    precision: Precision = "fp32"
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        _check_choice("preset", self.preset, list(PRESETS))
        if not self.sources or not self.stages:
            raise RecipeError("a recipe needs sources and stages")
        for name in ("warm_up", "seed"):
            _check(name, getattr(self, name), whole=True)
        for name in ("steps", "accumulate"):
            _check(name, getattr(self, name), 1, whole=True)
        for name in ("pixel_weight", "map_weight", "gamma", "weight_decay"):
            _check(name, getattr(self, name))
        for name in ("learning_rate", "potentials_rate", "clip"):
            _check(name, getattr(self, name), above=0)
        for name in ("camera", "film", "jpeg", "clean", "grey", "flat"):
            _check(f"{name}_share", getattr(self, f"{name}_share"), 0, 1)
        _check("ema", self.ema, 0, 1)
        for share in self.drops:
            _check("drops", share, 0, 1)
        for name in ("fresh_latents", "compile"):
            _check_choice(name, getattr(self, name), [False, True])
        self._check_choices()
        self._check_noise()
        if (self.steps + 1) * self.accumulate * SAMPLES_A_BATCH > 2**62:
            raise _too_large("steps", self.steps)
        if self.seed >= 2**63:
            raise _too_large("seed", self.seed)
        self._check_patches()
        self._check_noisy_sources()

    def _check_choices(self) -> None:
        known = get_args(SourceName)
        for name in self.sources:
            if name not in known:
                wanted = f"{choices(known)}; noise levels belong in noise"
                raise _wrong("sources", name, wanted)
        for name, kind in {
            "objective": Objective,
            "pixel_loss": PixelLoss,
            "weights": Weighting,
            "optimiser": Optimiser,
            "schedule": Schedule,
            "precision": Precision,
        }.items():
            _check_choice(name, getattr(self, name), get_args(kind))
        for name, kind in {"losses": Loss, "frozen": NetworkPart}.items():
            for entry in getattr(self, name):
                _check_choice(name, entry, get_args(kind))
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise RecipeError("names an entry twice", name)

    def _check_noise(self) -> None:
        if not self.noise:
            raise _wrong("noise", [], "one level or more")
        for level in self.noise:
            _check("noise", level, 0, 255)
        if self.noise_range is not None:
            if len(self.noise_range) != 2:
                levels = list(self.noise_range)
                raise _wrong("noise_range", levels, "two levels, lowest and highest")
            low, high = self.noise_range
            _check("noise_range", low, 0, 255)
            _check("noise_range", high, low, 255)

    def _check_noisy_sources(self) -> None:
        without = {"denoise": "denoise, which is noise already"}
        if self.config().deconvolve:
            without["deblur"] = "blur that the network deconvolves"
        for name, source in self.sources.items():
            if source.noise_share and name in without:
                raise RecipeError(f"is not for {without[name]}", "noise_share", name)

    def _check_patches(self) -> None:
        multiple = self.config().multiple
        for stage in self.stages:
            if stage.patch % multiple:
                wanted = f"a multiple of {multiple} for this network"
                raise _wrong("patch", stage.patch, wanted)

    def config(self) -> NetworkConfig:
        """The network's configuration.

        Raises:
            RecipeError: ``network`` has an invalid entry.
        """
        if not isinstance(self.network, dict):
            raise _wrong("network", self.network, "a table of configuration fields")
        try:
            return NetworkConfig.from_dict(preset(self.preset).to_dict() | self.network)
        except ConfigError as error:
            raise RecipeError(f"cannot be built: {error}", "network") from None

    def changes(self, before: Recipe) -> list[str]:
        """The entries that differ from an earlier recipe, as ``name before -> now``."""
        then, now = _flat(before.to_dict()), _flat(self.to_dict())
        return [
            f"{name} {written(then.get(name))} -> {written(now.get(name))}"
            for name in then | now
            if now.get(name) != then.get(name)
        ]

    def to_dict(self) -> dict[str, Any]:
        """The entries as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """A recipe from plain values, as in TOML or JSON.

        Raises:
            RecipeError: an entry is unknown or invalid.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise RecipeError(f"unknown entry {unknown[0]!r}")
        values = dict(values)
        try:
            if "sources" in values:
                tables = _table("sources", values["sources"])
                values["sources"] = {k: _entry(SourceRecipe, k, v) for k, v in tables.items()}
            if "stages" in values:
                stages = _listed("stages", values["stages"])
                values["stages"] = tuple(_entry(Stage, "a stage", v) for v in stages)
            for name in ("noise", "noise_range", "drops"):
                if values.get(name) is not None:
                    values[name] = tuple(_number(name, v) for v in _listed(name, values[name]))
            for name in ("losses", "frozen"):
                if name in values:
                    values[name] = tuple(_listed(name, values[name]))
            return cls(**values)
        except (TypeError, OverflowError) as error:
            raise RecipeError(f"wrong entry: {error}") from None

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Reads a recipe file.

        Raises:
            RecipeError: the file is missing, not TOML or not a recipe.
        """
        if path.is_dir() or not path.exists():
            raise RecipeError(no_such(path, "file"))
        try:
            return cls.from_dict(_read(path))
        except RecipeError as error:
            raise RecipeError(f"{path}: {error}") from None

    def steps_of(self, epochs: float, images: int) -> int:
        """The number of steps that draw ``epochs`` times as many patches as there are images.

        Raises:
            RecipeError: it is infinite.
        """
        share = sum(stage.share for stage in self.stages)
        batch = sum(stage.share / share * stage.batch for stage in self.stages)
        steps = epochs * images / (batch * self.accumulate)
        if not math.isfinite(steps):
            raise _too_large("epochs", epochs)
        return max(1, round(steps))

    def stage_at(self, step: int) -> tuple[Stage, int]:
        """The stage of a step and the step at which it ends."""
        total = sum(stage.share for stage in self.stages)
        end = 0.0
        for stage in self.stages:
            end += stage.share / total * self.steps
            if step < round(end):
                return stage, round(end)
        return self.stages[-1], self.steps

    def rate_factor(self, step: int) -> float:
        """The factor on both learning rates at a step."""
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        done = min((step - self.warm_up) / max(self.steps - self.warm_up, 1), 1)
        if self.schedule == "cosine":
            return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))
        if self.schedule == "step":
            return float(0.1 ** sum(step >= share * self.steps for share in self.drops))
        return 1.0


def written(value: Any) -> str:
    """An entry's value as a person would write it in TOML, but strings without quotes."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name} = {written(inner)}' for name, inner in value.items())}}}"
    if isinstance(value, bool):
        return str(value).lower()
    return "unset" if value is None else str(value).removesuffix(".0")


def _flat(table: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Entries by their path, as ``sources.derain.zoom`` or ``stages.0.patch``."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        inside = dict(enumerate(value)) if name == "stages" else value
        path = f"{above}{name}"
        found |= _flat(inside, f"{path}.") if isinstance(inside, dict) else {path: value}
    return found


def _listed(name: str, value: Any) -> list[Any]:
    """A list; a string is refused, since ``tuple`` would split it into letters."""
    if not isinstance(value, (list, tuple)):
        raise _wrong(name, value, "a list")
    return list(value)


def _number(name: str, value: Any) -> float:
    """A number of a list; true, which Python counts as one, is refused."""
    if type(value) not in (int, float):
        raise _wrong(name, value, "a list of numbers")
    return float(value)


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(name, value, "a table")
    return value


def _entry(kind: type[Entry], name: str, value: Any) -> Entry:
    """Builds what a table describes."""
    table = _table(name, value)
    known = {f.name: f.default is MISSING for f in fields(kind)}
    if unknown := [key for key in table if key not in known]:
        raise RecipeError(f"has no {unknown[0]!r}; there are {', '.join(known)}", name)
    if missing := [key for key, needed in known.items() if needed and key not in table]:
        raise RecipeError(f"needs {' and '.join(missing)}", name)
    try:
        return kind(**table)
    except RecipeError as error:
        raise RecipeError(error.problem, error.entry, name) from None


def _read(path: Path) -> dict[str, Any]:
    """The unchecked values of a recipe file: TOML, or JSON like a run's ``recipe.json``.

    Raises:
        RecipeError: the file cannot be read or is neither.
    """
    form, loads = ("JSON", json.loads) if path.suffix == ".json" else ("TOML", tomllib.loads)
    try:
        values = loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise RecipeError(f"{error.strerror}") from None
    except UnicodeDecodeError:
        raise RecipeError("not a text file, so not a recipe") from None
    except ValueError as error:
        raise RecipeError(f"not {form}: {error}") from None
    except RecursionError:
        raise RecipeError("nested too deeply") from None
    if not isinstance(values, dict):
        raise RecipeError("not a table of entries")
    return values


def shipped() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    folder = Path(str(files("train"))) / "recipes"
    return {name: folder / f"{name}.toml" for name in SHIPPED}
