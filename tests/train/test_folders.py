"""Folders of training images: which files are found, and how they pair up."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.train.conftest import write
from train.folders import (
    SourceError,
    find_folder,
    hold_out,
    image_files,
    images_below,
    match_pairs,
)


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


def test_several_hazy_versions_share_one_target(tmp_path: Path) -> None:
    pairs = match_pairs(
        *folders(tmp_path, ["0001_0.8_0.2.png", "0001_0.9_0.1.png", "2.png"], ["0001.png", "2.png"])
    )
    assert [b for _, b in names(pairs)] == ["0001.png", "0001.png", "2.png"]


@pytest.mark.parametrize(
    ("degraded", "target", "culprit"),
    [
        (["a.png", "b.png"], ["a.png"], "b.png has no partner"),
        (["a.png"], ["a.png", "b.png"], "b.png has no partner"),
        (["a.png"], ["a.jpg", "a.png"], "a.png and a.jpg have the same name"),
    ],
)
def test_unmatched_files_are_named(
    tmp_path: Path, degraded: list[str], target: list[str], culprit: str
) -> None:
    with pytest.raises(SourceError, match=re.escape(culprit)):
        match_pairs(*folders(tmp_path, degraded, target))


def test_empty_and_missing_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(SourceError, match=f"no images in {re.escape(str(tmp_path))}"):
        match_pairs(tmp_path / "a", tmp_path / "a")
    with pytest.raises(SourceError, match=re.escape(str(tmp_path / "none"))):
        match_pairs(tmp_path / "none", tmp_path / "a")


def test_folder_names_ignore_case_and_hyphens(tmp_path: Path) -> None:
    (tmp_path / "Low-Light" / "HIGH").mkdir(parents=True)
    assert find_folder(tmp_path, "lowlight", "high") == tmp_path / "Low-Light" / "HIGH"
    assert find_folder(tmp_path, "lowlight", "low") is None
    assert find_folder(tmp_path / "none", "x") is None


def test_hidden_and_other_files_are_not_images(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "._a.png", "a.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in image_files(tmp_path)] == ["a.JPG", "b.png"]


def test_compare_pictures_are_not_photographs(tmp_path: Path) -> None:
    photographs = ["2024.05.compare.jpg", "a.png", "b.compare.jpg", "v1.2.compare.jpg"]
    for name in (*photographs, "a.png.compare.jpg", "b.JP2.compare.jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in images_below(tmp_path)] == photographs


def test_pictures_of_a_training_run_are_not_photographs(tmp_path: Path) -> None:
    for run in (tmp_path, tmp_path / "run"):
        (run / "samples").mkdir(parents=True)
        for name in ("recipe.json", "log.jsonl", "curves.png", "samples/1.png", "mine.png"):
            (run / name).touch()
    (tmp_path / "other" / "samples").mkdir(parents=True)
    (tmp_path / "other" / "samples" / "2.png").touch()
    found = [p.relative_to(tmp_path).as_posix() for p in images_below(tmp_path)]
    assert found == ["mine.png", "other/samples/2.png", "run/mine.png"]


def test_names_that_are_not_unicode_are_held_out_too() -> None:
    names = [os.fsdecode(b"\xff%d.png" % i) for i in range(40)]
    assert 0 < len(hold_out(names, 0.2)) < 20


def test_the_held_out_share_does_not_depend_on_the_others() -> None:
    everyone = [f"photograph {i}" for i in range(4000)]
    held = hold_out(everyone, 0.04)
    assert 120 <= len(held) <= 200
    assert hold_out(everyone[:2000], 0.04) == held & set(everyone[:2000])
    assert len(hold_out(everyone[:2], 1e-9)) == 1
    # A contract: every version and every machine must hold out the same ones.
    assert hold_out([str(i) for i in range(30)], 0.2) == {"8", "9"}
    with pytest.raises(SourceError, match="a single photograph cannot be held out"):
        hold_out(["a", "a"], 0.5)
