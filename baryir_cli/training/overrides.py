"""Recipes whose entries the options of ``baryir train`` override."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from baryir_cli.errors import UsageError
from models.jsontext import parsed
from models.wording import choices
from train.recipe import Loss, Recipe, RecipeError, shipped
from train.run import Run
from train.sources import SourceError, canonical


@dataclass(frozen=True)
class Overrides:
    """What options say that a recipe leaves open or says otherwise.

    Attributes:
        entries: entries of the recipe.
        stage: entries for all its stages.
        sources: the sources to train on; empty for those of the file.
        network: fields of the network's configuration, as ``name=value``.
    """

    entries: dict[str, Any]
    stage: dict[str, Any]
    sources: Sequence[str]
    network: Sequence[str]


def recipe_file(name: str | None, file: Path | None, resumed: Path | None) -> Path:
    """The requested recipe; else that of the run to resume, or the paper's.

    Args:
        name: of a built-in recipe.
        file: a recipe of the user's.
        resumed: the run to resume.

    Raises:
        UsageError: there is no such recipe.
    """
    if name and file:
        raise UsageError("--recipe and --config are both recipes; give only one")
    run = Run(resumed) if resumed and not name and not file else None
    if run and run.last_checkpoint():
        own = run.recipe_file
        if not own.is_file():
            raise UsageError(f"{own} is missing; give the --recipe or --config the run began with")
        return own
    known = shipped()
    path = file or known.get(name or "paper")
    if path is None:
        raise UsageError(f"--recipe {name}: use {choices(known)}, or --config FILE")
    return path


def overridden(path: Path, overrides: Overrides) -> Recipe:
    """The recipe of a file with its entries overridden.

    Raises:
        UsageError: the file or an option is wrong.
    """
    entries, network = dict(overrides.entries), _fields(overrides.network)
    overriding = [*entries, *overrides.stage, *(["network"] if network else [])]
    given = {name: _option(name) for name in overriding}
    try:
        values = Recipe.load(path).to_dict()
    except RecipeError as error:
        raise UsageError(str(error)) from None
    if overrides.sources:
        chosen = _chosen(values["sources"], overrides.sources, "noise" in entries)
        given |= {"noise": "--sources"} if "noise" in chosen else {}
        values |= chosen
    # The recipe's changes to its own preset do not apply to another.
    values["network"] = ({} if "preset" in entries else values["network"]) | network
    if "noise" in given:
        values["noise_range"] = None
    if "losses" in entries:
        entries["losses"] = _losses(entries["losses"])
    values["stages"] = [old | overrides.stage for old in values["stages"]]
    try:
        return Recipe.from_dict(values | entries)
    except RecipeError as error:
        if error.entry in given:
            raise UsageError(f"{given[error.entry]} {error.problem}") from None
        raise UsageError(f"{path}: {error}") from None


def _losses(names: list[str]) -> list[str]:
    """The terms of L_T; ``none`` stands for an empty list."""
    known = get_args(Loss)
    if names == ["none"]:
        return []
    if not set(names) <= set(known):
        raise UsageError(f"--losses {' '.join(names)}: use none, or any of {' '.join(known)}")
    return names


def _option(entry: str) -> str:
    """The option that overrides an entry of the recipe."""
    return {"learning_rate": "--lr", "potentials_rate": "--potentials-lr"}.get(
        entry, f"--{entry.replace('_', '-')}"
    )


def _chosen(known: dict[str, Any], names: Sequence[str], noise: bool) -> dict[str, Any]:
    """The requested sources; ``denoise_15`` and the like are one source (DESIGN section 3)."""
    if any("," in name for name in names):
        apart = " ".join(names).replace(",", " ").split()
        raise UsageError(f"separate --sources with spaces: --sources {' '.join(apart)}")
    try:
        chosen, levels = canonical(names)
    except SourceError as error:
        raise UsageError(str(error)) from None
    if levels and noise:
        raise UsageError("denoise_15 and the like already set noise levels; leave out --noise")
    entries: dict[str, Any] = {"sources": {name: known.get(name, {}) for name in chosen}}
    return entries | ({"noise": list(levels)} if levels else {})


def _fields(entries: Sequence[str]) -> dict[str, Any]:
    """Values of ``name=value`` pairs; each is JSON or plain text."""
    result = {}
    for entry in entries:
        name, found, value = entry.partition("=")
        if not found:
            raise UsageError(f"--network takes name=value, not {entry!r}")
        try:
            result[name] = parsed(value)
        except ValueError:
            result[name] = value
    return result
