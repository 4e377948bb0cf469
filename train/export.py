"""From a training checkpoint to weights that others can use."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import torch

from models.presets import preset
from models.weights import save_weights
from train import checkpoint
from train.recipe import Recipe, RecipeError


def export_weights(source: Path, target: Path, notes: dict[str, Any]) -> None:
    """Writes the averaged weights of a checkpoint as safetensors in half precision.

    Args:
        source: a ``last.pt`` of a run.
        target: the safetensors file.
        notes: more provenance: data, licence, figures.
    """
    state = checkpoint.load(source)
    provenance = {
        "name": target.stem,
        "date": date.today().isoformat(),
        **provenance_of_run(state),
        **notes,
    }
    config = preset(state["recipe"]["preset"])
    save_weights(target, config, state["average"], provenance, torch.float16)


def provenance_of_run(state: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint, or its plain values alone, says of the weights' making.

    Raises:
        KeyError: it is no checkpoint of a run.
        RecipeError: its recipe is none of ours.
    """
    if not isinstance(state["recipe"], dict):
        raise RecipeError("a recipe is a table")
    recipe = Recipe.from_dict(state["recipe"])
    start = state["start"]
    return {
        "sources": list(recipe.sources),
        "steps": state["step"],
        "recipe": recipe.to_dict(),
        **({"start": start} if start else {}),
    }
