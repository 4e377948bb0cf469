"""Files of several pages from the command line."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageSequence

from baryir_cli.batch import pipeline
from baryir_cli.batch.pages import over_pages
from baryir_cli.files.jobs import Job, Options
from baryir_cli.images import Binder, Photo
from tests.baryir_cli.helpers import ROOT, failing, picture
from tests.conftest import Run


@pytest.fixture
def restore(baryir: Run, tiny_weights: Path) -> Run:
    def call(*arguments: object) -> int:
        return baryir("restore", "--weights", tiny_weights, "--device", "cpu", *arguments)

    return call


def pages() -> list[Image.Image]:
    """Of several sizes and kinds; the network finds different things in them."""
    white = np.full((20, 44), 255, np.uint8)
    return [picture(), picture(30, 20, seed=1).convert("L"), Image.fromarray(white > 0)]


def scan(path: Path, images: list[Image.Image] | None = None) -> Path:
    first, *others = images or pages()
    first.save(path, "TIFF", save_all=True, append_images=others, compression="tiff_lzw")
    return path


def pixels_of(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        return [np.array(page) for page in ImageSequence.Iterator(image)]


def test_every_page_is_restored_like_a_file_of_its_own(
    restore: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source = scan(tmp_path / "scan.tif")
    for number, page in enumerate(pages()):
        page.save(tmp_path / f"{number}.tif")
    assert restore(*tmp_path.glob("*.tif"), tmp_path / "out", "--json", "--tile", "32") == 0
    alone = [pixels_of(tmp_path / "out" / f"{number}.tif")[0] for number in range(3)]
    for found, expected in zip(pixels_of(tmp_path / "out" / "scan.tif"), alone, strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype
    lines = {line["input"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    whole = lines.pop(str(source))
    each = [lines[str(tmp_path / f"{number}.tif")] for number in range(3)]
    assert whole["pages"] == 3
    assert (whole["width"], whole["height"]) == (32, 24)
    assert all(line["pages"] == 1 for line in each)
    assert whole["tiles"] == sum(line["tiles"] for line in each) == 1 + 1 + 0
    changes = [line["change"] for line in each]
    assert min(changes) < whole["change"] < max(changes)
    weighted = np.average(np.square(changes), weights=[32 * 24, 30 * 20, 20 * 44]) ** 0.5
    assert whole["change"] == pytest.approx(weighted, abs=0.011)


def test_a_disk_that_is_full_while_pages_are_collected_is_named(
    restore: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    source, target = scan(tmp_path / "scan.tif"), tmp_path / "out.tif"
    monkeypatch.setattr(Binder, "add", failing(errno.ENOSPC))
    assert restore(source, target) == 1
    line = capsys.readouterr().err.splitlines()[0]
    assert line.startswith(f"failed  {source}: {target} cannot be written: No space left on device")
    assert line.endswith("; free some space, and repeat with --skip-existing")


def test_a_full_temporary_folder_is_named_when_pages_go_to_standard_output(
    restore: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(Binder, "add", failing(errno.ENOSPC))
    assert restore(scan(tmp_path / "scan.tif"), "-") == 1
    line = capsys.readouterr().err.splitlines()[0]
    assert f"{tempfile.gettempdir()} cannot be written: No space left on device; TMPDIR" in line
    assert "--skip-existing" not in line


def test_the_line_of_a_file_tells_its_pages(
    restore: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    scan(tmp_path / "scan.tif")
    assert restore(tmp_path / "scan.tif", tmp_path / "out.tif") == 0
    said = capsys.readouterr().err
    assert "(3 pages, " in said
    assert "; 0.0022 MP in" in said, "of all pages"


def test_the_largest_tile_of_all_pages_is_told() -> None:
    first, second = (
        {"photographs": 1, "tile": tile, "tiles": 2, "change": 1.0}
        for tile in ([100, 200], [101, 50])
    )
    assert over_pages([(first, 10), (second, 10)]) == first | {"photographs": 2, "tiles": 4}


def test_one_bad_page_fails_its_file_and_no_other(
    restore: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source = scan(tmp_path / "scan.tif", [picture(), picture(60, 60)])
    # Compressed pixels of the second page, which nothing checks in advance.
    data = source.read_bytes()
    source.write_bytes(data[: len(data) - 9000] + bytes(8000) + data[-1000:])
    picture().save(tmp_path / "z.png")
    assert restore(source, tmp_path / "z.png", tmp_path / "out") == 3
    assert "scan.tif: page 2: cannot be decoded" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["z.png"]


def test_the_limit_of_megapixels_is_for_a_page(
    restore: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source = scan(tmp_path / "scan.tif", [picture(), picture(25, 32)])
    options = [source, tmp_path / "out.tif", "--max-megapixels"]
    assert restore(*options, "0.00079") == 1
    said = capsys.readouterr().err
    assert "page 2: announces 32 x 25 pixels" in said
    assert "above the limit of 0.00079 MP; --max-megapixels raises it\n" in said
    assert restore(*options, "0.0008") == 0


@pytest.mark.parametrize("output", ["out.png", "out"])
def test_a_format_of_one_page_is_refused(
    restore: Run, tmp_path: Path, output: str, capsys: pytest.CaptureFixture
) -> None:
    scan(tmp_path / "scan.tif")
    assert restore(tmp_path / "scan.tif", tmp_path / output, "--format", "png") == 1
    assert "has 3 pages, but PNG holds one; write a TIFF, or split it" in capsys.readouterr().err
    assert restore(tmp_path / "scan.tif", tmp_path / "folder", "--format", "tiff") == 0


def test_a_comparison_shows_the_first_page_and_says_so(
    restore: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    scan(tmp_path / "scan.tif")
    assert restore(tmp_path / "scan.tif", tmp_path / "out.tif", "--compare") == 0
    assert "scan.tif: the comparison shows the first of 3 pages" in capsys.readouterr().err
    with Image.open(tmp_path / "out.tif.compare.jpg") as shown:
        assert shown.size == (32 + 8 + 32, 24)


@pytest.mark.parametrize(("others", "where"), [(pages(), "page 2: "), ([], "")])
def test_what_only_some_pages_lose_is_named_with_their_numbers(
    tmp_path: Path, others: list[Image.Image], where: str
) -> None:
    dots = Image.fromarray(np.indices((40, 40)).sum(0) % 2 > 0)
    images = [*others[:1], dots, *others[1:]] if others else [dots, dots]
    source = scan(tmp_path / "scan.tif", images)

    def blur(_job: Job, photo: Photo, _progress: object) -> tuple[np.ndarray, dict[str, object]]:
        return cv2.GaussianBlur(photo.pixels, (0, 0), 3), {}

    options = Options(None, None, 512)
    job = Job(source, tmp_path / "new" / "out.tif")
    (result,) = pipeline.run([job], blur, options, lambda _job, _share: None)
    assert result.lost == [f"{where}1 bit became 8-bit grey, because there are greys now"]


def test_an_interruption_between_pages_leaves_nothing(tmp_path: Path) -> None:
    source = scan(tmp_path / "scan.tif")

    def interrupted(_job: Job, photo: Photo, _progress: object) -> tuple[np.ndarray, dict]:
        if photo.page == 2:
            raise KeyboardInterrupt
        return photo.pixels, {}

    job = Job(source, tmp_path / "out.tif", tmp_path / "out.tif.compare.jpg")
    options = Options(None, None, 512)
    with pytest.raises(KeyboardInterrupt):
        list(pipeline.run([job], interrupted, options, lambda _job, _share: None))
    assert list(tmp_path.iterdir()) == [source]


def test_pages_are_degraded_each_with_their_own_noise(baryir: Run, tmp_path: Path) -> None:
    same = [Image.new("RGB", (32, 24), "grey")] * 2
    scan(tmp_path / "scan.tif", same)
    same[0].save(tmp_path / "alone.tif")
    for name in ("scan.tif", "alone.tif"):
        assert baryir("degrade", tmp_path / name, tmp_path / "out", "--type", "noise:25") == 0
    first, second = pixels_of(tmp_path / "out" / "scan.tif")
    assert (first != second).any()


def test_pages_go_through_a_pipe(tiny_weights: Path, tmp_path: Path) -> None:
    source = scan(tmp_path / "scan.tif")
    options = ["--weights", str(tiny_weights), "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-m", "baryir_cli", "restore", "-", "-", *options],
        cwd=ROOT,
        input=source.read_bytes(),
        capture_output=True,
        timeout=120,
        check=True,
    )
    (tmp_path / "out.tif").write_bytes(done.stdout)
    assert [page.shape for page in pixels_of(tmp_path / "out.tif")] == [
        (24, 32, 3),
        (30, 20),
        (20, 44),
    ]


MANY_PAGES = """
import sys
import tempfile
from pathlib import Path

import numpy as np
import tifffile

from baryir_cli.batch import picture
from baryir_cli.batch import pipeline
from baryir_cli.files.jobs import Job, Options
from tests.peak import peak_memory

folder = Path(sys.argv[1])
page = np.zeros((2000, 2000, 3), np.uint8)
with tifffile.TiffWriter(folder / "in.tif") as tiff:
    for _ in range(30):
        tiff.write(page, photometric="rgb", compression="zlib")
# One page waits before the work and one behind it.
picture.PIXELS_AHEAD = 0
job = Job(folder / "in.tif", folder / "out.tif")
options = Options(None, None, 512)
before = peak_memory()
work = lambda _job, photo, _progress: (photo.pixels, {})
(result,) = pipeline.run([job], work, options, lambda _job, _share: None)
assert result.pages == 30, result
print((peak_memory() - before) / page.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory the Linux way")
def test_memory_does_not_grow_with_the_number_of_pages(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY_PAGES, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert float(done.stdout) < 20, "some are taken by libraries that are loaded on the way"
