"""Scripts that people run by hand: what they say if they cannot begin."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.baryir_cli.helpers import ROOT, python


@pytest.mark.parametrize(("name", "said"), [("empty", "no images in "), ("none", "no such folder")])
def test_drawings_need_photographs(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    done = python(str(ROOT / "scripts/drawings.py"), str(tmp_path / name), str(out), cwd=ROOT)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert not out.exists()
