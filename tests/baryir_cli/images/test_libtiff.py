"""What libtiff prints on its own; in new processes, since once silenced it stays so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.baryir_cli.helpers import ROOT, picture, python

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Pillow includes libtiff here")

LOAD = """
import sys
from pathlib import Path

from baryir_cli.benches import Item
from baryir_cli.errors import UserError
from baryir_cli.evaluation.load import load

try:
    load(Item("a", degraded=Path(sys.argv[1])), None)
except UserError as error:
    print(error)
"""


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    path = tmp_path / "a.tif"
    picture(60, 60).save(path, compression="tiff_lzw")
    data = path.read_bytes()
    path.write_bytes(data[:5000] + bytes(5000) + data[10000:])
    return path


def test_a_damaged_photograph_has_one_line(damaged: Path) -> None:
    out = str(damaged.with_name("out"))
    done = python("-m", "baryir_cli", "degrade", str(damaged), out, "--type", "noise", cwd=ROOT)
    failed, counts = done.stderr.splitlines()
    assert failed.startswith(
        f"failed  {damaged}: cannot be decoded: its compressed pixels are damaged"
    )
    assert counts == "0 done, 0 skipped, 1 failed"


def test_an_evaluation_is_told_alone(damaged: Path) -> None:
    done = python("-c", LOAD, str(damaged), cwd=ROOT)
    assert done.stdout.startswith(f"{damaged} cannot be decoded: ")
    assert done.stderr == ""
