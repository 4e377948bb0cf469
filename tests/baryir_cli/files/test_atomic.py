"""Outputs are complete or absent; links and permissions stay."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from baryir_cli.errors import UserError
from baryir_cli.files import atomic
from baryir_cli.files.atomic import write_atomically


def test_writing_replaces_but_makes_no_folders(tmp_path: Path) -> None:
    """One that has vanished may be a drive that was pulled."""
    path = tmp_path / "a" / "b" / "out.png"
    with pytest.raises(UserError, match="cannot be written: No such file or directory"):
        write_atomically(path, b"one")
    assert not list(tmp_path.iterdir())
    path.parent.mkdir(parents=True)
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in path.parent.iterdir()] == ["out.png"]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_permissions_are_those_that_open_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new.png", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "new.png").stat().st_mode & 0o777 == 0o640
    (tmp_path / "old.png").write_bytes(b"x")
    (tmp_path / "old.png").chmod(0o604)
    write_atomically(tmp_path / "old.png", b"y")
    assert (tmp_path / "old.png").stat().st_mode & 0o777 == 0o604


def test_a_write_protected_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(b"mine")
    path.chmod(0o444)
    with pytest.raises(UserError, match="write-protected"):
        write_atomically(path, b"yours")
    assert path.read_bytes() == b"mine"


@pytest.mark.skipif(os.name == "nt", reason="links need rights under Windows")
def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(b"x")
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    write_atomically(tmp_path / "link.png", b"y")
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "real.png").read_bytes() == b"y"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_and_devices_are_written_into_and_not_replaced(tmp_path: Path) -> None:
    """Such as /dev/null, which root could replace."""
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit((tmp_path / "pipe").read_bytes)
        write_atomically(tmp_path / "pipe", b"report")
        assert read.result() == b"report"
    assert not (tmp_path / "pipe").is_file()
    with pytest.raises(UserError, match="cannot be written: Is a directory; move that folder"):
        write_atomically(tmp_path, b"x")


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_nothing_is_left_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, failure: BaseException
) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")

    def fail(*arguments: object) -> None:
        raise failure

    monkeypatch.setattr(atomic.os, moment, fail)
    expected = KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else UserError
    with pytest.raises(expected, match="No space left" if expected is UserError else None):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.png"]
