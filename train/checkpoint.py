"""Training checkpoints: folders of safetensors and a state that executes nothing when loaded.

``RUN/checkpoints/00000500/`` holds ``network.safetensors``, ``average.safetensors`` (both float32,
either may be restored with) and ``state.pt`` (potentials, optimisers, step, recipe).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch

from models.files import replacing
from models.weights import WeightsError, read_weights, save_weights
from train.export import provenance
from train.recipe import Recipe, RecipeError
from train.trainer import Trainer


class CheckpointError(ValueError):
    """A checkpoint cannot be written, or is not whole; the message names the file."""


def checkpoints(run: Path) -> list[Path]:
    """The whole checkpoints of a run, the oldest first."""
    folder = run / "checkpoints"
    return sorted(p for p in folder.glob("*") if p.name.isdigit() and p.is_dir())


def save(run: Path, trainer: Trainer, keep: int) -> Path:
    """Writes a checkpoint, which is whole or absent, and drops all but the last ``keep``."""
    folder = run / "checkpoints"
    target = folder / f"{trainer.step:08d}"
    temporary = folder / f"{target.name}.part"
    for unfinished in folder.glob("*.part"):  # of a run that was killed
        shutil.rmtree(unfinished, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        for name, network in {"network": trainer.network, "average": trainer.average}.items():
            save_weights(
                temporary / f"{name}.safetensors",
                network.config,
                network.state_dict(),
                provenance(trainer, run),
            )
        _write_state(temporary / "state.pt", trainer.state())
        shutil.rmtree(target, ignore_errors=True)
        os.replace(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    for old in checkpoints(run)[:-keep]:
        shutil.rmtree(old)
    return target


def _write_state(path: Path, state: dict[str, Any]) -> None:
    with replacing(path) as temporary, open(temporary, "wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # as PyTorch says it where a disk is full
            raise CheckpointError(f"{path}: not all of it could be written") from error


def load(path: Path, trainer: Trainer) -> list[str]:
    """Puts a trainer where :func:`save` left off; returns what is otherwise now, in words.

    Raises:
        CheckpointError: the folder is not whole, or holds something else.
        train.recipe.RecipeError: it is of another network or of other sources.
    """
    state_file = path / "state.pt"
    try:
        network = read_weights(path / "network.safetensors")
        average = read_weights(path / "average.safetensors")
        state: dict[str, Any] = torch.load(state_file, map_location="cpu", weights_only=True)
        began = Recipe.from_dict(state["recipe"])
        for name, weights in {"network": network, "average": average}.items():
            if weights.config.difference(began.config()):
                raise WeightsError(f"{path / name}.safetensors: of another network than state.pt")
        return trainer.load_state(state, began, network.state, average.state)
    except (RecipeError, MemoryError, torch.OutOfMemoryError):
        raise
    except WeightsError as error:
        raise CheckpointError(str(error)) from None
    except OSError as error:
        raise CheckpointError(f"{state_file}: {error.strerror}") from None
    except Exception:  # torch's reader raises of every kind, and so does what is no state
        raise CheckpointError(f"{state_file} is damaged or no training state") from None
