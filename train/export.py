"""From a training checkpoint to weights that others can use."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import torch

from models.presets import preset
from models.weights import save_weights
from train import checkpoint
from train.recipe import Recipe


def export_weights(source: Path, target: Path, notes: dict[str, Any]) -> None:
    """Writes the averaged weights of a checkpoint as safetensors in half precision.

    Args:
        source: a ``last.pt`` of a run.
        target: the safetensors file.
        notes: more provenance: data, licence, figures.
    """
    state = checkpoint.load(source)
    recipe = Recipe.from_dict(state["recipe"])
    provenance = {
        "name": target.stem,
        "sources": list(recipe.sources),
        "steps": state["step"],
        "date": date.today().isoformat(),
        "recipe": recipe.to_dict(),
        **({"start": state["start"]} if state["start"] else {}),
        **notes,
    }
    save_weights(target, preset(recipe.preset), state["average"], provenance, torch.float16)
