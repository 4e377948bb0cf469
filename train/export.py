"""Exports a trainer's weights for others to use."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import torch

from models.weights import save_weights
from train.trainer import Trainer


def provenance(trainer: Trainer, run: Path) -> dict[str, Any]:
    """Provenance of a run's weights; the run is named after its folder."""
    entry: dict[str, Any] = {
        "name": run.resolve().name,
        "sources": list(trainer.images),
        "steps": trainer.step,
        "date": date.today().isoformat(),
        "recipe": trainer.recipe.to_dict(),
    }
    return entry | ({"start": trainer.start} if trainer.start else {})


def export_weights(trainer: Trainer, target: Path, notes: dict[str, Any]) -> None:
    """Writes the averaged weights as safetensors in half precision.

    Args:
        target: the safetensors file, in the run's folder.
        notes: further provenance, such as data, licence and figures.
    """
    entry = provenance(trainer, target.parent) | notes
    save_weights(target, trainer.average.config, trainer.average.state_dict(), entry, torch.float16)
