"""A user's script with type annotations passes a strict check."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.baryir_cli.helpers import ROOT, python

SCRIPT = """
import numpy as np
import torch
from PIL import Image

import models.network, train.recipe
from baryir_cli import Restorer

restorer = Restorer.from_weights("small")
restorer.restore(Image.open("photo.jpg")).save("restored.jpg")
restorer.restore(np.zeros((8, 8, 3), np.float32)).flatten()
restorer.restore(torch.zeros(3, 8, 8)).cpu()
"""


@pytest.mark.slow
def test_images_come_back_as_what_they_were(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    # Beside installed packages, where only those with a py.typed count as typed.
    checked = python(
        *["-m", "mypy", "--strict", "--cache-dir", "cache", "script.py"],
        cwd=tmp_path,
        PYTHONPATH=str(ROOT),
    )
    assert checked.stdout == "Success: no issues found in 1 source file\n"
