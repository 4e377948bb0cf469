"""Files are complete or absent, and errors name them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from models.files import replacing


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
