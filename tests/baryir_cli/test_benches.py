"""Benches: the catalogue, finding sets and their problems, seeded degradations."""

from __future__ import annotations

import errno
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from baryir_cli.benches import bench, bench_sets, benches, chosen_sets, find_set, folder_set
from baryir_cli.benches.catalogue import paper_rows
from baryir_cli.benches.degrade import Degradation, noisy
from baryir_cli.errors import UsageError, UserError
from baryir_cli.metrics import METRICS

TABLES = Path(__file__).resolve().parents[3] / "shared" / "paper" / "tables.json"
NOISE = 512221025
"""CRC-32 of noise from numpy's PCG64 and ziggurat, unchanged since they came in 1.17."""


def put(folder: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (16, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return folder


def test_the_catalogue_has_the_papers_benches() -> None:
    assert list(benches()) == ["3d", "5d", "ood", "levels", "real", "mixed"]
    assert [s.label for s in bench("5D").sets] == [
        "SOTS",
        "Rain100L",
        "BSD68 sigma 25",
        "GoPro",
        "LOL-v1",
    ]
    for which in benches().values():
        assert set(which.metrics) <= set(METRICS)
        rows = paper_rows(which.table)
        assert [row["method"] for row in rows].count(which.ours) == 1
        for row in rows:
            named = {name for name in which.paper_names.values() if name}
            assert named <= set(row["results"])
    with pytest.raises(UsageError, match="3d, 5d, ood"):
        bench("7d")


@pytest.mark.skipif(not TABLES.is_file(), reason=f"{TABLES} is not here")
def test_the_catalogue_has_the_papers_figures() -> None:
    tables = json.loads(TABLES.read_text())
    for which in benches().values():
        assert paper_rows(which.table) == tables[which.table]
    costs = tables["complexity_256x256"]
    for number, row in enumerate(paper_rows("complexity")):
        for ours, theirs in (("method", "methods"), ("parameters", "parameters")):
            assert row[ours] == costs[theirs][number]
        assert (row["flops"], row["seconds"]) == (costs["flops"][number], costs["seconds"][number])


def test_sets_are_chosen_by_name() -> None:
    which = bench("3d")
    assert [s.id for s in chosen_sets(which, [])] == [s.id for s in which.sets]
    assert [s.id for s in chosen_sets(which, ["bsd68"])] == ["bsd68-15", "bsd68-25", "bsd68-50"]
    chosen = chosen_sets(which, ["BSD68 sigma 25", "rain-100L"])
    assert [s.id for s in chosen] == ["rain100l", "bsd68-25"]
    with pytest.raises(UsageError, match="use sots, rain100l, .* or bsd68-50 with --bench 3d"):
        chosen_sets(which, ["gopro"])


def test_folders_are_found_whatever_their_case(tmp_path: Path) -> None:
    put(tmp_path / "Low_Light", "LOW/1.png", "High/1.png")
    put(tmp_path / "Derain" / "rain100L", "Input/rain-1.png", "target/norain-1.png")
    lowlight = find_set(bench_sets()["lol-v1"], tmp_path)
    assert lowlight is not None
    assert [item.name for item in lowlight.items] == ["1"]
    rain = find_set(bench_sets()["rain100l"], tmp_path)
    assert rain is not None
    assert rain.items[0].target == tmp_path / "Derain/rain100L/target/norain-1.png"
    assert find_set(bench_sets()["gopro"], tmp_path) is None


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("o-haze", ["O-HAZE/hazy/01_outdoor_hazy.png", "O-HAZE/GT/01_outdoor_GT.png"]),
        ("lol-v2-real", ["real/LOL-v2-real/Low/low001.png", "real/LOL-v2-real/high/normal001.png"]),
        ("spanet", ["SPANet/rain/7.png", "SPANet/norain/7gt.png"]),
        ("sots", ["SOTS/outdoor/hazy/0001_0.8_0.2.png", "SOTS/outdoor/gt/0001.png"]),
    ],
)
def test_official_names_pair(tmp_path: Path, name: str, files: list[str]) -> None:
    put(tmp_path, *files)
    found = find_set(bench_sets()[name], tmp_path)
    assert found is not None
    assert (found.problems, len(found.items)) == ((), 1)
    assert found.items[0].target == tmp_path / files[1]


def test_several_degradations_share_one_target(tmp_path: Path) -> None:
    put(tmp_path / "CDD-11", "haze/1.png", "low_rain/1.png", "clear/1.png")
    found = find_set(bench_sets()["cdd-11"], tmp_path)
    assert found is not None
    assert [item.name for item in found.items] == ["haze/1", "low_rain/1"]


def test_set_json_names_a_stand_in(tmp_path: Path) -> None:
    put(tmp_path / "deblur", "input/1.png", "target/1.png")
    entry = {"name": "ours", "stands_for": "GoPro", "official_count": 1111}
    (tmp_path / "deblur" / "set.json").write_text(json.dumps(entry))
    found = find_set(bench_sets()["gopro"], tmp_path)
    assert found is not None
    assert (found.label, found.stands_for, found.official) == ("ours", "GoPro", 1111)
    for broken in (
        *("[]", "{", '{"name": 1}', '{"name": " "}', '{"name": "x", "stands_for": ""}'),
        *('{"name": "x", "official_count": "many"}', "[" * 100000),
    ):
        (tmp_path / "deblur" / "set.json").write_text(broken)
        with pytest.raises(UserError, match="set.json"):
            find_set(bench_sets()["gopro"], tmp_path)


def test_jpeg_falls_back_on_bsd68_and_says_so(tmp_path: Path) -> None:
    put(tmp_path / "denoise" / "bsd68", "1.png")
    found = find_set(bench_sets()["bsd500-jpeg10"], tmp_path)
    assert found is not None
    assert (found.label, found.stands_for) == ("BSD68 JPEG 10", "BSD500 JPEG 10")
    put(tmp_path / "denoise" / "BSD500", "1.png")
    found = find_set(bench_sets()["bsd500-jpeg10"], tmp_path)
    assert found is not None
    assert (found.label, found.stands_for) == ("BSD500 JPEG 10", None)


def test_missing_partners_and_folders_are_named(tmp_path: Path) -> None:
    put(tmp_path / "deblur", "input/1.png", "input/2.png", "target/1.png", "target/3.png")
    found = find_set(bench_sets()["gopro"], tmp_path)
    assert found is not None
    assert [item.name for item in found.items] == ["1"]
    assert "2.png has no partner" in found.problems[0]
    assert "3.png has no partner" in found.problems[1]
    (tmp_path / "dehaze").mkdir()
    empty = find_set(bench_sets()["sots"], tmp_path)
    assert empty is not None
    assert "has no folders input and target" in empty.problems[0]
    (tmp_path / "denoise" / "bsd68").mkdir(parents=True)
    bare = find_set(bench_sets()["bsd68-25"], tmp_path)
    assert bare is not None
    assert "no images in" in bare.problems[0]


def test_two_files_of_one_name_are_a_problem(tmp_path: Path) -> None:
    put(tmp_path, "1.png", "1.bmp")
    found = folder_set(degraded=tmp_path)
    assert len(found.items) == 1
    assert found.problems == (f"{tmp_path / '1.png'} and 1.bmp have the same name",)
    put(tmp_path / "targets", "1.png")
    paired = folder_set(degraded=tmp_path, target=tmp_path / "targets")
    assert paired.problems == found.problems


def test_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        folder_set(degraded=tmp_path / "none")
    with pytest.raises(UsageError, match="--input or --restored"):
        folder_set(target=tmp_path)


@pytest.mark.parametrize(
    ("name", "locked"),
    [("bsd68-25", "denoise/bsd68"), ("gopro", "deblur"), ("gopro", "deblur/input")],
)
def test_a_folder_that_may_not_be_read_is_a_problem_of_its_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, locked: str
) -> None:
    put(tmp_path, "denoise/bsd68/1.png", "deblur/input/1.png", "deblur/target/1.png")
    lock(tmp_path / locked, monkeypatch)
    found = find_set(bench_sets()[name], tmp_path)
    assert found is not None
    assert found.items == ()
    (problem,) = found.problems
    assert str(tmp_path / locked) in problem
    assert "permission denied" in problem.lower()
    lock(put(tmp_path / "mine", "1.png"), monkeypatch)
    with pytest.raises(UsageError, match="--input .*permission denied"):
        folder_set(degraded=tmp_path / "mine")


def lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulates a folder without read permission, which would not stop root."""
    original = Path.iterdir

    def iterdir(self: Path) -> Iterator[Path]:
        if self == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return original(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)


def test_noise_is_the_same_everywhere() -> None:
    clean = np.full((8, 8, 3), 128, np.uint8)
    assert zlib.crc32(noisy(clean, 25, "101085").data) == NOISE
    assert (noisy(clean, 25, "A") == noisy(clean, 25, "a")).all()
    assert (noisy(clean, 25, "a") != noisy(clean, 25, "b")).any()
    large = np.full((256, 256, 3), 128, np.uint8)
    assert abs(float((noisy(large, 25, "x") - 128.0).std()) - 25) < 0.2


def test_a_degradation_is_either_noise_or_jpeg() -> None:
    for wrong in ({}, {"noise": 1.0, "jpeg": 1}, {"noise": 0.0}, {"jpeg": 0}):
        with pytest.raises(ValueError, match="noise|jpeg"):
            Degradation(**wrong)  # type: ignore[arg-type]
    clean = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    compressed = Degradation(jpeg=10)(clean, "x")
    assert compressed.shape == clean.shape
    assert (compressed != clean).any()
