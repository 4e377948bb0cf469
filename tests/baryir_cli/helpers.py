"""What the tests of several commands use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def picture(height: int = 24, width: int = 32, seed: int = 0) -> Image.Image:
    """Noise in RGB."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def failing(code: int) -> Callable[..., NoReturn]:
    """A function that fails with an error of the system, such as ``errno.ENOSPC``."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    return fail


def python(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs Python with more environment variables and returns what it printed."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def run_without(modules: str, *arguments: str, cwd: Path, **environment: str) -> str:
    """Runs ``baryir``, which must succeed and import none of the modules, and returns its output.

    Args:
        modules: separated by spaces.
    """
    refused = set(modules.split())
    script = (
        f"import sys; sys.argv = ['baryir', *{arguments}]\n"
        "from baryir_cli.app import run; code = run()\n"
        f"imported = {refused} & set(sys.modules); sys.exit(f'{{imported=}}' if imported else code)"
    )
    done = python("-c", script, cwd=cwd, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout
