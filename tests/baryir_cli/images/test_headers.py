"""What the first bytes of a file tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from baryir_cli.images.headers import looks_like_an_image, pixels_of
from tests.baryir_cli.helpers import picture


@pytest.mark.parametrize(
    "suffix", ["png", "jpg", "webp", "tif", "bmp", "avif", "heic", "jp2", "j2k"]
)
def test_an_image_tells_its_size(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    picture(96, 64).save(path)
    assert looks_like_an_image(path)
    assert pixels_of(path) == 6144


def test_all_pages_count(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    picture(30, 20).save(path, save_all=True, append_images=[picture(10, 10), picture(5, 4)])
    assert pixels_of(path) == 600 + 100 + 20


@pytest.mark.parametrize(
    "content", [b"", b"BM, a text about bitmaps, not one", b"II*\0 and no more"]
)
def test_other_files_tell_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    assert looks_like_an_image(path) == content.startswith(b"II")
    assert pixels_of(path) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    os.mkfifo(path)
    assert not looks_like_an_image(path)
    assert pixels_of(path) is None
