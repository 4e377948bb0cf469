"""Files that are whole or absent: what goes wrong is told of the file that was meant."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from models.files import replacing


def test_errors_name_the_file(tmp_path: Path) -> None:
    """Those of a full disk name none, others the temporary one; a third file stays their own."""
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
