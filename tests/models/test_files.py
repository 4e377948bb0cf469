"""Files are complete or absent, and errors name them."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from models.files import replacing
from tests.baryir_cli.helpers import failing


def test_errors_name_the_file(tmp_path: Path) -> None:
    """An error that names none or the temporary file gets its name; any other name is kept."""
    path = tmp_path / "a.txt"
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    other = OSError(errno.EACCES, os.strerror(errno.EACCES), "b.txt")
    for error, named in ((full, str(path)), (other, "b.txt")):
        with pytest.raises(OSError, match="b.txt|a.txt") as caught, replacing(path):
            raise error
        assert caught.value.filename == named
    assert not list(tmp_path.iterdir())
    path = tmp_path / "nowhere" / "a.txt"
    with pytest.raises(FileNotFoundError) as caught, replacing(path):
        pass
    assert caught.value.filename == str(path)


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """With hard links, and on file systems that have none, such as vfat."""
    if not links:
        monkeypatch.setattr(os, "link", failing(errno.EPERM))
    path = tmp_path / "a.txt"
    with replacing(path, overwrite=False) as temporary:
        temporary.write_text("mine")
    with pytest.raises(FileExistsError) as caught, replacing(path, overwrite=False) as temporary:
        temporary.write_text("yours")
    assert caught.value.filename == str(path)
    assert path.read_text() == "mine"
    assert path.stat().st_nlink == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_appears_at_the_last_moment_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After every check that could be made before."""
    path = tmp_path / "a.txt"
    chmod = os.chmod

    def late(*arguments: Any) -> None:
        chmod(*arguments)
        path.write_text("theirs")

    monkeypatch.setattr(os, "chmod", late)
    monkeypatch.setattr(os.path, "lexists", lambda _: False)
    with pytest.raises(FileExistsError), replacing(path, overwrite=False) as temporary:
        temporary.write_text("mine")
    assert path.read_text() == "theirs"
