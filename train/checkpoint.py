"""Training checkpoints: folders of safetensors and a state; loading them executes nothing.

``RUN/checkpoints/00000500/`` holds ``network.safetensors`` and ``average.safetensors`` (both
float32, both usable for restoring) and ``state.pt`` (potentials, optimisers, step, recipe).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from models.files import replacing
from models.weights import WeightsError, read_weights, save_weights
from train.export import provenance
from train.recipe import Recipe, RecipeError
from train.trainer import Trainer

UNFINISHED = ".part"
"""Suffix of a checkpoint that is still being written, or that the next one removes."""


class CheckpointError(ValueError):
    """A checkpoint cannot be written or is incomplete; the message names the file."""


def checkpoints(run: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    folder = run / "checkpoints"
    complete = (p for p in folder.glob("*") if p.name.isdecimal() and p.is_dir())
    return sorted(complete, key=lambda p: int(p.name))


Put = Callable[[], None]
"""Puts a complete checkpoint in its place."""


def save(
    run: Path,
    trainer: Trainer,
    keep: int,
    make_room: Callable[[Path, Put], None] = lambda _, put: put(),
) -> Path:
    """Writes a checkpoint, complete or not at all, and removes all but the last ``keep``.

    Args:
        make_room: called with the checkpoint's place, and with what puts it there, which it calls.
    """
    folder = run / "checkpoints"
    target = folder / f"{trainer.step:08d}"
    temporary = folder / f"{target.name}{UNFINISHED}"
    for unfinished in folder.glob(f"*{UNFINISHED}"):  # left by a killed run
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
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise

    def put() -> None:
        shutil.rmtree(target, ignore_errors=True)
        os.replace(temporary, target)

    make_room(target, put)
    for old in checkpoints(run)[:-keep]:
        shutil.rmtree(old)
    return target


def _write_state(path: Path, state: dict[str, Any]) -> None:
    with replacing(path) as temporary, open(temporary, "wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # what PyTorch raises when the disk is full
            raise CheckpointError(f"{path} could not be written completely") from error


def load(path: Path, trainer: Trainer) -> list[str]:
    """Brings a trainer to where :func:`save` left off; returns what has changed, in words.

    Raises:
        CheckpointError: the folder is incomplete or holds something else.
        train.recipe.RecipeError: it belongs to another network or other sources.
    """
    state_file = path / "state.pt"
    try:
        network = read_weights(path / "network.safetensors")
        average = read_weights(path / "average.safetensors")
        state: dict[str, Any] = torch.load(state_file, map_location="cpu", weights_only=True)
        began = Recipe.from_dict(state["recipe"])
        for name, weights in {"network": network, "average": average}.items():
            if weights.config.difference(began.config()):
                raise WeightsError(
                    f"{path / name}.safetensors belongs to another network than state.pt"
                )
        return trainer.load_state(state, began, network.state, average.state)
    except (RecipeError, MemoryError, torch.OutOfMemoryError):
        raise
    except WeightsError as error:
        raise CheckpointError(str(error)) from None
    except OSError as error:
        raise CheckpointError(f"{state_file}: {error.strerror}") from None
    except Exception:  # torch's reader raises all kinds, and so do contents of the wrong type
        raise CheckpointError(f"{state_file} is damaged or not a training state") from None
