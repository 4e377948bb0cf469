"""Sources: pairs by name, samples by number, errors that name the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.train.conftest import write
from train.pairs import SourceError, find_folder, match_pairs
from train.sources import ImageCache, Patches, gather

OPTIONS: dict[str, Any] = {"sigma": (15.0, 50.0), "clean_share": 0.1, "paired_share": {}}
ALL = ["denoise", "derain", "dehaze", "deblur", "lowlight"]


def names(pairs: list[tuple[Path, Path]]) -> list[tuple[str, str]]:
    return [(a.name, b.name) for a, b in pairs]


def folders(root: Path, degraded: list[str], target: list[str]) -> tuple[Path, Path]:
    for i, name in enumerate(degraded):
        write(root / "a" / name, i)
    for i, name in enumerate(target):
        write(root / "b" / name, i)
    return root / "a", root / "b"


@pytest.mark.parametrize(
    ("degraded", "target"),
    [
        (["rain-001.png", "rain-002.png"], ["norain-001.png", "norain-002.png"]),
        (["x_y.png", "north.png"], ["x_y.png", "north.png"]),
        (["A.PNG"], ["a.jpg"]),
    ],
)
def test_pairs_one_to_one(tmp_path: Path, degraded: list[str], target: list[str]) -> None:
    expected = sorted(zip(degraded, target, strict=True))
    assert names(match_pairs(*folders(tmp_path, degraded, target))) == expected


def test_several_hazes_of_one_photograph(tmp_path: Path) -> None:
    pairs = match_pairs(
        *folders(tmp_path, ["0001_0.8_0.2.png", "0001_0.9_0.1.png", "2.png"], ["0001.png", "2.png"])
    )
    assert [b for _, b in names(pairs)] == ["0001.png", "0001.png", "2.png"]


@pytest.mark.parametrize(
    ("degraded", "target", "culprit"),
    [
        (["a.png", "b.png"], ["a.png"], "b.png has no partner"),
        (["a.png"], ["a.png", "b.png"], "b.png has no partner"),
        (["a.png"], ["a.jpg", "a.png"], "a.png and a.jpg have one name"),
    ],
)
def test_unmatched_files_are_named(
    tmp_path: Path, degraded: list[str], target: list[str], culprit: str
) -> None:
    with pytest.raises(SourceError, match=re.escape(culprit)):
        match_pairs(*folders(tmp_path, degraded, target))


def test_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(SourceError, match=f"no images in {re.escape(str(tmp_path))}"):
        match_pairs(tmp_path / "a", tmp_path / "a")


def test_folder_names(tmp_path: Path) -> None:
    (tmp_path / "Low-Light" / "HIGH").mkdir(parents=True)
    assert find_folder(tmp_path, "lowlight", "high") == tmp_path / "Low-Light" / "HIGH"
    assert find_folder(tmp_path, "lowlight", "low") is None
    assert find_folder(tmp_path / "none", "x") is None


def test_cache_is_bounded(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{i}.png", i, (20, 20)) for i in range(5)]
    cache = ImageCache(limit=3 * 1200)
    for path in [*paths, paths[4], paths[0]]:
        assert cache.read(path).shape == (20, 20, 3)
        assert cache.size <= cache.limit
    assert cache.size == 3 * 1200
    assert cache.read(paths[4]) is cache.read(paths[4])


def test_unreadable_image(tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    with pytest.raises(SourceError, match=re.escape(str(bad))):
        ImageCache().read(bad)


def test_missing_data(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=re.escape(str(tmp_path / "none"))):
        gather(["dehaze"], tmp_path / "none", OPTIONS)
    with pytest.raises(SourceError, match="no source 'snow'; there are denoise"):
        gather(["snow"], data, OPTIONS)


def test_pairs_that_differ_in_size(data: Path) -> None:
    write(data / "Derain" / "gt" / "norain-1.png", 0, (50, 50))
    write(data / "Derain" / "gt" / "norain-2.png", 0, (50, 50))
    (derain,) = gather(["derain"], data, OPTIONS)
    with pytest.raises(SourceError, match="differ in size"):
        derain.draw(np.random.default_rng(0), 16, ImageCache())


def test_samples(data: Path) -> None:
    sources = gather(ALL, data, OPTIONS)
    assert [s.name for s in sources] == ALL
    first, again = (Patches(sources, [1.0] * 5, 24, 9) for _ in range(2))
    seen = set()
    for index in range(30):
        degraded, target, k = first[index]
        assert degraded.shape == target.shape == (3, 24, 24)
        assert degraded.dtype == target.dtype == torch.uint8
        other = again[index]
        assert torch.equal(degraded, other[0])
        assert torch.equal(target, other[1])
        assert k == other[2]
        seen.add(k)
    assert seen == set(range(5))
    assert not torch.equal(first[0][1], Patches(sources, [1.0] * 5, 24, 10)[0][1])


def test_patches_larger_than_the_images(data: Path) -> None:
    for source in gather(ALL, data, OPTIONS):
        degraded, target = source.draw(np.random.default_rng(0), 200, ImageCache())
        assert degraded.shape == target.shape == (200, 200, 3)


def test_paired_share(data: Path) -> None:
    def origin(share: float) -> str:
        return gather(["derain"], data, OPTIONS | {"paired_share": {"derain": share}})[0].origin

    assert origin(1.0).startswith("2 pairs in")
    assert origin(0.0) == "3 clean photographs"
    assert origin(0.25).startswith("25 % 2 pairs")
