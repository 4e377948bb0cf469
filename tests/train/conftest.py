"""A tiny training set."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest


def write(path: Path, seed: int, size: tuple[int, int] = (40, 36)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    assert cv2.imwrite(str(path), cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC))
    return path


@pytest.fixture(autouse=True)
def _only_training(one_thread: None, no_curves: None) -> None:
    """One thread for such small networks, and no plots, which take longer than the training."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three clean photographs and two rainy pairs, laid out like ``data/Train``."""
    root = tmp_path / "Train"
    for i in range(3):
        write(root / "Denoise" / f"{i}.png", i)
    for i in (1, 2):
        write(root / "Derain" / "rainy" / f"rain-{i}.png", 10 + i)
        write(root / "Derain" / "gt" / f"norain-{i}.png", 20 + i)
    return root
