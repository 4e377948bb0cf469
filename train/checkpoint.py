"""Training checkpoints: loading one executes nothing, writing one is atomic."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch


class CheckpointError(ValueError):
    """A file that is no whole checkpoint; the message names it."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes tensors, numbers and containers; the file is whole or absent."""
    temporary = path.with_name(path.name + ".part")
    try:
        with open(temporary, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(path: Path) -> dict[str, Any]:
    """Reads what :func:`save` wrote, onto the CPU.

    Raises:
        CheckpointError: the file is cut short or something else.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception:  # torch's reader raises of every kind, IndexError among them
        raise CheckpointError(f"{path} is damaged or no training checkpoint") from None
    return state
