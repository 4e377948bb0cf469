"""Training images: decoding, the cache's limit, the record of unusable files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from tests.train.conftest import write
from train import images
from train.images import ImageCache, Skipped, UnusableError, decode


def test_cache_is_bounded(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{i}.png", i, (20, 20)) for i in range(5)]
    cache = ImageCache(limit=3 * 1200)
    for path in [*paths, paths[4], paths[0]]:
        assert cache.read(path).shape == (20, 20, 3)
        assert cache.size <= cache.limit
    assert cache.size == 3 * 1200
    assert cache.read(paths[4]) is cache.read(paths[4])


def test_an_unusable_image_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    path = tmp_path / "a.tif"
    assert cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:3000])
    read = []
    monkeypatch.setattr(images, "decode", lambda path: read.append(path) or decode(path))
    cache = ImageCache()
    for _ in range(3):
        with pytest.raises(UnusableError, match="a.tif is not an image that can be decoded"):
            cache.read(path)
    assert read == [path]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("share", [0.3, 0.9, 0.995])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_images_that_are_cut_off_are_named_without_further_noise(
    tmp_path: Path, suffix: str, share: float, capfd: pytest.CaptureFixture
) -> None:
    path = tmp_path / f"a{suffix}"
    assert cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8))
    data = path.read_bytes()
    assert decode(path).shape == (60, 80, 3)
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UnusableError, match="is cut off"):
        decode(path)
    assert capfd.readouterr().err == ""


def test_workers_share_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write(tmp_path / f"{i}.png", i, (20, 20)) for i in range(9)]

    def held(workers: int, trainers: int) -> int:
        info = SimpleNamespace(num_workers=workers) if workers else None
        monkeypatch.setattr(images, "get_worker_info", lambda: info)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(trainers))
        cache = ImageCache(limit=8 * 1200)
        for path in paths:
            cache.read(path)
        return cache.size // 1200

    assert held(0, 1) == 8
    assert held(2, 1) == 4
    assert held(2, 2) == 2
    assert held(100, 2) == 1, "only the current image"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_a_file_that_is_cut_off_is_unusable(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    assert cv2.imwrite(str(path), noise)
    assert decode(path).shape == (60, 80, 3)
    data = path.read_bytes()
    for share in (0, 0.01, 0.3, 0.9, 0.999):
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(UnusableError) as caught:
            decode(path)
        assert caught.value.path == path
        assert caught.value.reason in images.REASONS


def test_a_jpeg_with_a_thumbnail_is_judged_by_its_own_end(tmp_path: Path) -> None:
    _, small = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))
    _, large = cv2.imencode(
        ".jpg", np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    )
    thumbnail = b"Exif\0\0" + small.tobytes()
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = large.tobytes()[:2] + segment + large.tobytes()[2:]
    (tmp_path / "a.jpg").write_bytes(whole + b"a trailer of the camera's")
    assert decode(tmp_path / "a.jpg").shape == (40, 40, 3)
    (tmp_path / "a.jpg").write_bytes(whole[:-200])
    with pytest.raises(UnusableError, match="cut off"):
        decode(tmp_path / "a.jpg")


def test_names_may_be_other_than_ascii(tmp_path: Path) -> None:
    path = tmp_path / "ç ü 日本.png"
    path.write_bytes(write(tmp_path / "a.png", 0).read_bytes())
    assert decode(path).shape == (40, 36, 3)


def test_skipped_files_are_recorded_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    skipped = Skipped([*paths, paths[0]])
    assert len(skipped) == 0
    for _ in range(2):
        skipped.add(UnusableError(paths[2], images.Reason.CUT_OFF))
    assert len(skipped) == 1
    assert skipped.lines() == [f"{paths[2]} is cut off"]
    skipped.add(UnusableError(paths[0], images.Reason.UNOPENED))
    assert skipped.reasons() == {paths[0]: "cannot be opened", paths[2]: "is cut off"}
