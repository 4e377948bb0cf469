"""From a trainer to weights that others can use."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import torch

from models.weights import save_weights
from train.trainer import Trainer


def provenance(trainer: Trainer, name: str) -> dict[str, Any]:
    """What weights say of the run they come from."""
    entry: dict[str, Any] = {
        "name": name,
        "sources": list(trainer.images),
        "steps": trainer.step,
        "date": date.today().isoformat(),
        "recipe": trainer.recipe.to_dict(),
    }
    return entry | ({"start": trainer.start} if trainer.start else {})


def export_weights(trainer: Trainer, target: Path, notes: dict[str, Any]) -> None:
    """Writes the averaged weights as safetensors in half precision.

    Args:
        target: the safetensors file; the weights are named after its folder, the run's.
        notes: more provenance: data, licence, figures.
    """
    entry = provenance(trainer, target.resolve().parent.name) | notes
    save_weights(target, trainer.average.config, trainer.average.state_dict(), entry, torch.float16)
