"""``baryir restore`` from the command line: every promise of the design."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from baryir_cli.batch import pipeline
from baryir_cli.batch.display import Display, Tally
from baryir_cli.batch.results import Result
from baryir_cli.engine import Engine
from baryir_cli.files.jobs import Job, Options
from baryir_cli.images import Photo, encode_photo
from baryir_cli.images.photo import Layout
from baryir_cli.shell import stdout
from baryir_cli.shell.units import megapixels
from tests.baryir_cli.helpers import ROOT, failing, picture
from tests.baryir_cli.images.samples import cmyk_profile, grey_profile, srgb_profile
from tests.conftest import Run


def opened(path: Path) -> Image.Image:
    """The decoded image; its file is closed."""
    with Image.open(path) as image:
        image.load()
        return image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of three photographs."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number, name in enumerate(["a.png", "b.jpg", "ç ü 日本.webp"]):
        picture(seed=number).save(folder / name)
    return folder


@pytest.fixture
def restore(baryir: Run, tiny_weights: Path) -> Run:
    def call(*arguments: object) -> int:
        return baryir("restore", "--weights", tiny_weights, "--device", "cpu", *arguments)

    return call


def tool(*arguments: object, **settings: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "baryir_cli", *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        **{"stderr": subprocess.PIPE, **settings},  # type: ignore[call-overload]
    )


def test_a_folder_is_restored_into_a_folder(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    out = photos.parent / "out"
    assert restore(photos, out) == 0
    for path in photos.iterdir():
        after, before = opened(out / path.name), opened(path)
        assert after.size == before.size
        assert after.format == before.format
    said = capsys.readouterr()
    assert said.out == ""
    assert "3 done, 0 skipped, 0 failed" in said.err
    assert "; 0.0023 MP in " in said.err
    assert len(said.err.splitlines()) == 4


def test_one_bad_file_stops_no_other(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    good = (photos / "a.png").read_bytes()
    (photos / "cut.png").write_bytes(good[: len(good) // 2])
    (photos / "empty.jpg").touch()
    (photos / "text.png").write_text("not an image")
    (photos / "folder.png").mkdir()
    (photos / "eps.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    out = photos.parent / "out"
    assert restore(photos, out) == 3
    assert sorted(p.name for p in out.iterdir()) == ["a.png", "b.jpg", "ç ü 日本.webp"]
    said = capsys.readouterr().err
    for name in ("cut.png", "empty.jpg", "text.png", "eps.png"):
        (line,) = [line for line in said.splitlines() if name in line]
        assert line.startswith("failed")
    assert "3 done, 0 skipped, 4 failed" in said
    assert "Traceback" not in said


def test_a_run_in_which_everything_failed_is_a_failure(restore: Run, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no")
    assert restore(tmp_path / "a.png", tmp_path / "out") == 1


def test_nan_from_the_network_writes_no_image(
    baryir: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    import torch

    from models.network import build
    from models.presets import preset
    from models.weights import save_weights

    network = build(preset("tiny"))
    with torch.no_grad():
        network.head.project.weight.fill_(3e38)
    weights = tmp_path / "huge.safetensors"
    save_weights(weights, network.config, network.state_dict(), {}, torch.float32)
    out = tmp_path / "out"
    arguments = ["--weights", weights, "--device", "cpu", "--precision", "fp32"]
    assert baryir("restore", photos / "a.png", out, *arguments) == 1
    assert not out.exists() or not list(out.iterdir())
    assert "the network returned NaN or infinity" in capsys.readouterr().err


def test_the_inputs_folder_as_output_is_refused(restore: Run, photos: Path) -> None:
    before = {p: p.read_bytes() for p in photos.iterdir()}
    assert restore(photos, photos) == 2
    assert {p: p.read_bytes() for p in photos.iterdir()} == before


def test_in_place_replaces_the_inputs(restore: Run, photos: Path) -> None:
    before = (photos / "a.png").read_bytes()
    assert restore(photos, photos, "--in-place") == 0
    assert (photos / "a.png").read_bytes() != before


def test_a_write_protected_file_is_not_replaced(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    before = (photos / "a.png").read_bytes()
    (photos / "a.png").chmod(0o444)
    assert restore(photos, photos, "--in-place", "--dry-run") == 0
    assert "a.png (is write-protected; make it writable" in capsys.readouterr().out
    assert restore(photos, photos, "--in-place") == 3
    assert (photos / "a.png").read_bytes() == before
    said = capsys.readouterr().err
    assert "a.png: is write-protected; make it writable" in said
    assert "2 done, 0 skipped, 1 failed" in said
    assert restore(photos / "b.jpg", photos / "a.png", "--overwrite") == 1
    assert f"b.jpg: {photos / 'a.png'} is write-protected" in capsys.readouterr().err
    assert restore(photos / "b.jpg", photos / "a.png", "--skip-existing", "--dry-run") == 0
    assert "write-protected" not in capsys.readouterr().out


def test_in_place_replaces_nothing_but_its_own_input(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    picture().save(photos.parent / "c.png")
    (photos / "c.png").write_bytes(b"mine")
    assert restore(photos / "a.png", photos.parent / "c.png", photos, "--in-place") == 2
    assert "c.png exists already" in capsys.readouterr().err
    assert (photos / "c.png").read_bytes() == b"mine"
    assert restore(photos, photos, "--in-place", "--skip-existing") == 2


def test_in_place_elsewhere_is_refused(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    for output in (photos.parent / "out", photos.parent / "out.png"):
        assert restore(photos / "a.png", output, "--in-place") == 2
        assert "--in-place: no output would replace its input" in capsys.readouterr().err
        assert not output.exists()


def test_an_interruption_before_the_first_replacement_says_so(
    restore: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("baryir_cli.engine.Engine.restore", interrupted)
    assert restore(photos, photos, "--in-place") == 130
    assert capsys.readouterr().err.endswith("absent; no input was replaced\n")


def test_an_interruption_after_the_last_replacement_says_so(
    restore: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def interrupted(_tally: Tally, _seconds: float) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Tally, "summary", interrupted)
    assert restore(photos, photos, "--in-place") == 130
    said = capsys.readouterr().err
    assert "all inputs were replaced" in said
    assert "only the others" not in said


def test_after_an_interruption_no_bar_is_drawn_below_the_summary(
    restore: Run, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, terminal, done = Engine.restore, io.StringIO(), list[Any]()

    def restored(*arguments: Any, **settings: Any) -> Any:
        if done:
            while not (photos.parent / "out" / "a.png").exists():
                time.sleep(0.01)
            raise KeyboardInterrupt
        done.append(usual(*arguments, **settings))
        return done[0]

    console = Console(
        file=terminal, force_terminal=True, width=80, color_system=None, _environ={"TERM": "xterm"}
    )
    monkeypatch.setattr("baryir_cli.shell.console.messages", lambda: console)
    monkeypatch.setattr(Engine, "restore", restored)
    assert restore(photos, photos.parent / "out") == 130
    bar, summary = terminal.getvalue().rsplit(" done", 1)
    assert "\u2501" in bar
    assert "\u2501" not in summary
    assert summary.endswith("; 2 left\n")


def test_links_that_lead_nowhere_are_named(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    link = photos / "link.png"
    link.symlink_to(photos / "nothing.png")
    assert restore(link, photos.parent / "out") == 2
    assert capsys.readouterr().err == f"baryir: {link}: a link that leads nowhere; check the path\n"
    assert restore(photos, photos.parent / "out") == 3
    assert f"failed  {link}: is a link that leads nowhere\n" in capsys.readouterr().err


def test_results_beside_their_inputs_are_not_inputs_of_the_next_run(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    assert restore(photos, photos, "--suffix", "_r", "--compare") == 0
    assert restore(photos, photos, "--suffix", "_r", "--compare", "--skip-existing") == 0
    assert "0 done, 3 skipped" in capsys.readouterr().err


def test_a_file_that_was_given_is_not_overwritten_as_a_result(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    """Its name alone does not tell whether it is a result."""
    mine = photos / "a_r.png"
    picture(seed=9).save(mine)
    before = mine.read_bytes()
    assert restore(photos / "a.png", mine, photos, "--suffix", "_r", "--overwrite") == 2
    assert "a_r.png is an input and would be replaced" in capsys.readouterr().err
    assert mine.read_bytes() == before


def test_a_name_that_is_too_long_stops_no_other(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    out = photos.parent / "out"
    out.mkdir()
    picture().save(photos / f"{'n' * 250}.png")
    assert restore(photos, out, "--suffix", "_restored") == 3
    assert "3 done, 0 skipped, 1 failed" in capsys.readouterr().err


def test_a_comparison_whose_name_is_too_long_costs_no_photograph(
    restore: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    name = f"{'n' * 245}.png"
    picture().save(tmp_path / name)
    assert restore(tmp_path / name, tmp_path / "out", "--compare", "--json") == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
    line = json.loads(capsys.readouterr().out)
    (lost,) = line["lost"]
    assert f"the comparison {tmp_path / 'out' / name}.compare.jpg cannot be written: " in lost
    assert line["comparison"] is None


def test_a_wide_comparison_is_made_smaller(restore: Run, tmp_path: Path) -> None:
    """A JPEG's sides are below 65,536 pixels."""
    picture(4, 33_000).save(tmp_path / "wide.png")
    assert restore(tmp_path / "wide.png", tmp_path / "out", "--compare", "--tile", "64") == 0
    assert opened(tmp_path / "out" / "wide.png").size == (33_000, 4)
    assert opened(tmp_path / "out" / "wide.png.compare.jpg").size[0] == 65_500


@pytest.mark.parametrize(
    ("layout", "icc", "kept"),
    [
        ("palette", srgb_profile(), True),
        ("grey", grey_profile(), True),
        ("cmyk", cmyk_profile(), False),
    ],
)
def test_a_comparison_keeps_the_profile_of_its_colours(
    restore: Run, tmp_path: Path, layout: Layout, icc: bytes, kept: bool
) -> None:
    photo = Photo(np.asarray(picture()), None, "tiff", layout, icc=icc)
    (tmp_path / "a.tif").write_bytes(encode_photo(photo))
    assert restore(tmp_path / "a.tif", tmp_path / "out", "--compare") == 0
    shown = opened(tmp_path / "out" / "a.tif.compare.jpg")
    assert shown.info.get("icc_profile") == (icc if kept else None)
    assert shown.mode == ("L" if layout == "grey" else "RGB")


def test_a_comparison_shows_transparency_on_white(restore: Run, tmp_path: Path) -> None:
    Image.new("RGBA", (32, 24)).save(tmp_path / "a.png")
    assert restore(tmp_path / "a.png", tmp_path / "out", "--compare") == 0
    assert np.asarray(opened(tmp_path / "out" / "a.png.compare.jpg")).min() == 255


@pytest.mark.parametrize(
    ("mode", "name", "options"), [("1", "b.png", []), ("RGB", "b.jpg", ["--quality", 1])]
)
def test_a_comparison_shows_what_was_saved(
    restore: Run, tmp_path: Path, mode: str, name: str, options: list[object]
) -> None:
    Image.linear_gradient("L").resize((64, 64)).convert(mode).save(tmp_path / "a.png")
    assert restore(tmp_path / "a.png", tmp_path / name, "--compare", *options) == 0
    saved = np.asarray(opened(tmp_path / name).convert("RGB")).astype(int)
    shown = np.asarray(opened(tmp_path / f"{name}.compare.jpg").convert("RGB"))
    assert np.abs(shown[:, -64:] - saved).mean() < 4


def test_a_refused_run_leaves_no_folder(restore: Run, photos: Path) -> None:
    assert restore(photos, photos.parent / "out", "--tile", "128", "--overlap", "500") == 2
    assert not (photos.parent / "out").exists()


def test_in_place_goes_with_comparisons(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    before = (photos / "a.png").read_bytes()
    assert restore(photos, photos, "--in-place", "--compare") == 0
    assert (photos / "a.png").read_bytes() != before
    assert (photos / "a.png.compare.jpg").exists()
    capsys.readouterr()
    assert restore(photos, photos, "--in-place", "--compare") == 2
    assert "use --overwrite\n" in capsys.readouterr().err
    assert restore(photos, photos, "--in-place", "--compare", "--overwrite") == 0


def mine(path: Path) -> Path:
    """A file that no run has written, in a new folder."""
    path.parent.mkdir()
    path.write_bytes(b"mine")
    return path


def test_an_output_without_its_comparison_is_kept(restore: Run, photos: Path) -> None:
    kept = mine(photos.parent / "out" / "a.png")
    assert restore(photos / "a.png", kept.parent, "--compare", "--skip-existing") == 0
    assert kept.read_bytes() == b"mine"


def test_a_comparison_without_its_output_is_kept(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    out = photos.parent / "out"
    kept = mine(out / "a.png.compare.jpg")
    assert restore(photos / "a.png", out, "--compare") == 2
    assert "a.png.compare.jpg exists already (1 of 2 outputs do)" in capsys.readouterr().err
    for options in (["--dry-run"], []):
        asked = ("--compare", "--skip-existing", "--json", *options)
        assert restore(photos / "a.png", out, *asked) == 0
        assert json.loads(capsys.readouterr().out)["comparison"] is None
    assert (out / "a.png").exists()
    assert kept.read_bytes() == b"mine"


def test_a_run_that_broke_off_before_a_comparison_makes_it_later(
    restore: Run, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = photos.parent / "out"
    with monkeypatch.context() as patched:
        patched.setattr("baryir_cli.batch.picture.side_by_side", failing(errno.ENOSPC))
        assert restore(photos / "a.png", out, "--compare") == 1
    assert restore(photos / "a.png", out, "--compare", "--skip-existing") == 0
    assert sorted(p.name for p in out.iterdir()) == ["a.png", "a.png.compare.jpg"]


@pytest.mark.parametrize(("name", "suffix"), [("JPG", ".jpg"), ("jpeg", ".jpg"), ("tif", ".tif")])
def test_format_takes_the_usual_names(restore: Run, photos: Path, name: str, suffix: str) -> None:
    assert restore(photos / "a.png", photos.parent / "out", "--format", name) == 0
    (written,) = (photos.parent / "out").iterdir()
    assert written.suffix == suffix


def test_existing_outputs_need_a_choice(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    out = photos.parent / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    assert restore(photos, out) == 2
    assert "--skip-existing or --overwrite" in capsys.readouterr().err
    assert [p.name for p in out.iterdir()] == ["a.png"]
    assert restore(photos, out, "--skip-existing") == 0
    assert "2 done, 1 skipped" in capsys.readouterr().err
    assert (out / "a.png").read_bytes() == b"mine"
    assert restore(photos, out, "--overwrite") == 0
    assert (out / "a.png").read_bytes() != b"mine"
    assert restore(photos, out, "--overwrite", "--skip-existing") == 2


@pytest.mark.parametrize("command", ["restore", "degrade"])
@pytest.mark.parametrize("output", ["new/../in", "new/..", "new/../", "new/../keep.png"])
def test_a_way_through_a_missing_folder_overwrites_nothing(
    baryir: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, command: str, output: str
) -> None:
    monkeypatch.chdir(photos.parent)
    picture(seed=8).save("a.png")
    picture(seed=9).save("keep.png")
    before = {path: path.read_bytes() for path in Path().glob("**/*.*")}
    options = ["--type", "noise"] if command == "degrade" else []
    assert baryir(command, "in" if output == "new/../in" else "a.png", output, *options) == 2
    assert {path: path.read_bytes() for path in Path().glob("**/*.*")} == before
    assert not Path("new").exists()


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Lets something happen while the first image is restored, after all checks in advance."""
    usual, acts = Engine.restore, [act]

    def restored(*arguments: Any, **settings: Any) -> Any:
        while acts:
            acts.pop()()
        return usual(*arguments, **settings)

    monkeypatch.setattr(Engine, "restore", restored)


@pytest.mark.parametrize(
    ("options", "code", "counts"),
    [
        ([], 3, "2 done, 0 skipped, 1 failed"),
        (["--skip-existing"], 0, "2 done, 1 skipped, 0 failed"),
        (["--overwrite"], 0, "3 done, 0 skipped, 0 failed"),
    ],
)
def test_an_output_that_appears_during_the_run_is_kept(
    restore: Run,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    options: list[str],
    code: int,
    counts: str,
) -> None:
    theirs = photos.parent / "out" / "a.png"
    meanwhile(monkeypatch, lambda: theirs.write_bytes(b"theirs"))
    assert restore(photos, theirs.parent, *options) == code
    said = capsys.readouterr().err
    assert counts in said
    assert (theirs.read_bytes() == b"theirs") == ("--overwrite" not in options)
    if code:
        line = f"failed  {photos / 'a.png'}: {theirs} exists now and was kept; ask to overwrite"
        assert line in said
    assert len(list(theirs.parent.iterdir())) == 3


def test_a_comparison_that_appears_during_the_run_is_kept(
    restore: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    theirs = photos.parent / "out" / "a.png.compare.jpg"
    meanwhile(monkeypatch, lambda: theirs.write_bytes(b"theirs"))
    assert restore(photos / "a.png", theirs.parent, "--compare") == 0
    assert f"the comparison {theirs} exists now and was kept" in capsys.readouterr().err
    assert theirs.read_bytes() == b"theirs"
    assert (theirs.parent / "a.png").exists()


def test_an_output_that_another_process_has_finished_is_not_computed(
    restore: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    out = photos.parent / "out"
    meanwhile(monkeypatch, lambda: [(out / name).write_bytes(b"theirs") for name in names])
    names = [path.name for path in photos.iterdir() if path.name != "a.png"]
    assert restore(photos, out, "--skip-existing", "--json") == 0
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert {Path(line["output"]).name for line in lines if line["status"] == "skipped"} == {*names}
    assert all((line["width"] is None) == (line["status"] == "skipped") for line in lines)
    assert "1 done, 2 skipped, 0 failed" in said.err


def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    """Each in its own order: one after the other, both would do every image."""
    jobs = [Job(tmp_path / f"{n}.png", tmp_path / "out" / f"{n}.png") for n in range(60)]
    for job in jobs:
        picture().save(job.source)
    (tmp_path / "out").mkdir()
    done: list[Path] = []

    def work(job: Job, photo: Photo, _: object) -> Any:
        done.append(job.source)
        time.sleep(0.02)
        return photo.pixels, {}

    def process(delay: float) -> list[str]:
        time.sleep(delay)
        options = Options(None, None, 1, skip_existing=True)
        return [r.status for r in pipeline.run(jobs, work, options, lambda *_: None)]

    with ThreadPoolExecutor(2) as pool:
        results = [status for found in pool.map(process, [0, 0.01]) for status in found]
    assert {*done} == {job.source for job in jobs}
    assert len(done) < 90
    assert results.count("done") == results.count("skipped") == 60


def test_folders_and_empty_files_are_not_finished_outputs(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    out = photos.parent / "out"
    (out / "a.png").mkdir(parents=True)
    (out / "b.jpg").touch()
    assert restore(photos, out) == 2
    assert "b.jpg exists already (1 of 3 outputs do); use" in capsys.readouterr().err
    for options in (["--skip-existing"], ["--overwrite"]):
        assert restore(photos, out, *options) == 3
        said = capsys.readouterr().err
        assert f"{photos / 'a.png'}: {out / 'a.png'} is a folder; move it, or choose" in said
        assert "2 done, 0 skipped, 1 failed" in said
        assert opened(out / "b.jpg").size == (32, 24)


def test_inputs_with_clashing_names_are_both_kept(restore: Run, tmp_path: Path) -> None:
    picture(seed=1).save(tmp_path / "a.jpg")
    picture(seed=2).save(tmp_path / "a.png")
    out = tmp_path / "out"
    assert restore(tmp_path / "a.jpg", tmp_path / "a.png", out, "--format", "png") == 0
    assert sorted(p.name for p in out.iterdir()) == ["a_jpg.png", "a_png.png"]


@pytest.mark.parametrize("size", [(1, 1), (7, 5)])
def test_the_smallest_images_are_restored(
    restore: Run, tmp_path: Path, size: tuple[int, int]
) -> None:
    picture(*size).save(tmp_path / "a.png")
    assert restore(tmp_path / "a.png", tmp_path / "b.png") == 0
    assert opened(tmp_path / "b.png").size == size[::-1]


def test_strength_zero_changes_nothing_and_says_so(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    out = photos.parent / "out"
    assert restore(photos / "a.png", out, "--strength", "0") == 0
    np.testing.assert_array_equal(opened(out / "a.png"), opened(photos / "a.png"))
    said = capsys.readouterr().err
    assert "note    --strength 0 applies no correction" in said
    assert "1 done (1 hardly changed), 0 skipped" in said
    assert restore(photos / "a.png", out, "--overwrite", "--json") == 0
    assert json.loads(capsys.readouterr().out)["change"] > 0.5
    assert restore(photos / "a.png", out, "--overwrite") == 0
    assert "hardly changed" not in capsys.readouterr().err


def test_format_quality_suffix_and_compare_go_together(restore: Run, photos: Path) -> None:
    out = photos.parent / "out"
    options = ["--format", "jpeg", "--quality", "40", "--suffix", "-x", "--compare"]
    assert restore(photos / "a.png", out, *options) == 0
    assert sorted(p.name for p in out.iterdir()) == ["a-x.jpg", "a-x.jpg.compare.jpg"]
    assert opened(out / "a-x.jpg").format == "JPEG"
    assert opened(out / "a-x.jpg.compare.jpg").size == (2 * 32 + 8, 24)


def test_name_decides_the_format_not_the_content(restore: Run, tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png", format="JPEG")
    assert restore(tmp_path / "a.png", tmp_path / "out") == 0
    assert opened(tmp_path / "out" / "a.png").format == "PNG"


def test_json_is_one_line_per_image(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    (photos / "z.png").write_text("no")
    assert restore(photos, photos.parent / "out", "--json", "--tile", "32", "--overlap", "4") == 3
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["input"]).name for line in lines if line["status"] == "failed"] == ["z.png"]
    order = ["status", "input", "output", "comparison", "error", "width", "height", "pages"]
    assert all(list(line) == list(lines[0]) for line in lines)
    assert list(lines[0])[: len(order)] == order
    done = next(line for line in lines if Path(line["input"]).name == "a.png")
    assert done["status"] == "done"
    assert Path(done["output"]) == photos.parent / "out" / "a.png"
    assert (done["width"], done["height"]) == (32, 24)
    assert done["tiles"] == 1
    assert done["precision"] in ("fp32", "bf16")
    assert done["seconds"] > 0
    assert done["error"] is None
    failed = next(line for line in lines if line["status"] == "failed")
    named = {"status", "input", "output", "error", "lost"}
    assert {value for name, value in failed.items() if name not in named} == {None}


def test_an_output_with_an_unknown_suffix_must_be_a_folder(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    out = f"{photos.parent}/out.xyz"
    assert restore(photos / "a.png", out) == 2
    assert "cannot write .xyz, only .png, .jpg" in capsys.readouterr().err
    assert not Path(out).exists()
    assert restore(photos / "a.png", f"{out}/") == 0
    assert (Path(out) / "a.png").exists()
    assert restore(photos / "b.jpg", out) == 0, "it is a folder now"


@pytest.mark.parametrize(
    ("number", "text"),
    [(7, "0.0000070 MP"), (768, "0.00077 MP"), (393216, "0.39 MP"), (1.2e10, "12,000.00 MP")],
)
def test_small_numbers_of_pixels_are_megapixels_too(number: int, text: str) -> None:
    assert megapixels(number) == text


def test_the_rate_counts_only_finished_images() -> None:
    """An image that could not be written adds neither pixels nor seconds."""
    tally, job = Tally(), Job(Path("a.png"), Path("b.png"))
    tally.add(Result(job, "done", 1000, 1000, 1.0, pixels=1_000_000))
    tally.add(Result(job, "failed", 1000, 1000, 1.0, pixels=1_000_000))
    assert tally.rate == "1.00 MP/s"


class Clock:
    """A terminal's clock, which the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("seconds", [1, 100])
def test_the_time_left_counts_only_restored_images(seconds: int) -> None:
    """Slow images do not make it vanish, and skipped ones do not shorten it."""
    clock, job = Clock(), Job(Path("a.png"), Path("b.png"))
    console = Console(file=io.StringIO(), force_terminal=True, get_time=clock)
    display = Display(console, 1010)
    for _ in range(1000):
        display.add(Result(job, "skipped"))
    for _ in range(3):
        clock.now += seconds
        display.add(Result(job, "done", 10, 10, 1.0, pixels=100))
    (task,) = display.bar.tasks
    assert task.time_remaining == 7 * seconds


@pytest.mark.parametrize("width", [40, 80])
def test_the_bar_fits_its_terminal(width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    display = Display(console, 1234)
    display.tally.counts["done"] = 123
    display.working(Job(Path("a_photograph_with_a_long_name.jpg"), Path("b.png")), 0.5)
    console.print(display.bar.make_tasks_table(display.bar.tasks))
    (line,) = console.file.getvalue().splitlines()
    assert len(line) <= width
    assert "123/1234" in line
    assert "-:--:--" in line, "the time left"
    assert ("0:00:00" in line) == (width == 80), "the time so far"


def test_a_terminal_names_the_images_that_may_want_a_look() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    display = Display(console, 4)
    for name, toned, shake in (
        ("dark.png", True, 0.0),
        ("noisy.png", False, 0.0),
        ("shaken.png", False, 4.5),
        ("both.png", True, 4.5),
    ):
        facts = {"toned": toned, "shake": shake, "change": 9.0}
        job = Job(Path(name), Path("out", name))
        display.add(Result(job, "done", 10, 10, 1.0, pixels=100, facts=facts))
    dark, shaken, both = console.file.getvalue().splitlines()
    assert dark.endswith("dark.png (10 x 10, 1.00 s, tones changed)")
    assert shaken.endswith("shaken.png (10 x 10, 1.00 s, shake removed)")
    assert both.endswith("both.png (10 x 10, 1.00 s, tones changed, shake removed)")
    summary = display.tally.summary(1)
    assert summary.startswith("4 done (2 with changed tones, 2 with shake removed), 0 skipped")


@pytest.mark.parametrize(
    ("pages", "photographs", "said"),
    [
        (1, 1, "10 x 10, 1.00 s"),
        (1, 3, "10 x 10, 3 photographs, 1.00 s"),
        (2, 2, "2 pages, 1.00 s"),
        (2, 3, "2 pages, 3 photographs, 1.00 s"),
    ],
)
def test_lines_say_how_many_photographs_were_found(pages: int, photographs: int, said: str) -> None:
    console = Console(file=io.StringIO(), width=80)
    job, facts = Job(Path("album.tif"), Path("out.tif")), {"photographs": photographs}
    Display(console, 1).add(Result(job, "done", 10, 10, 1.0, pages, pixels=100, facts=facts))
    assert console.file.getvalue() == f"done    album.tif -> out.tif ({said})\n"


def test_streams_are_called_by_their_names(baryir: Run, capsys: pytest.CaptureFixture) -> None:
    console = Console(file=io.StringIO(), width=80)
    display, job = Display(console, 2), Job(Path("-"), Path("-"))
    display.add(Result(job, "failed", error="is not a PNG"))
    display.add(Result(job, "done", 10, 10, 1.0, pixels=100, lost=["the profile"]))
    assert console.file.getvalue().splitlines() == [
        "failed  standard input: is not a PNG",
        "done    standard input -> standard output (10 x 10, 1.00 s)",
        "note    standard input: the profile",
    ]
    assert baryir("degrade", "-", "-", "--type", "noise", "--dry-run") == 0
    assert capsys.readouterr().out.startswith("degrade standard input -> standard output\n")


def test_dry_run_does_nothing(restore: Run, photos: Path, capsys: pytest.CaptureFixture) -> None:
    out = photos.parent / "out"
    assert restore(photos, out, "--dry-run") == 0
    assert not out.exists()
    said = capsys.readouterr().out
    assert f"{photos / 'a.png'} -> {out / 'a.png'}\n" in said
    assert "3 to restore (0.0023 MP), 0 to skip; nothing was done\n" in said
    (photos / "d.png").touch()
    for fmt in ("tiff", "bmp"):
        picture().save(photos / f"d.{fmt}")
    assert restore(photos, out, "--dry-run") == 0
    assert "6 to restore (0.0038 MP, 1 of unknown size), 0 to skip" in capsys.readouterr().out


def test_dry_run_lists_the_comparison_pictures(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    out = photos.parent / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    asked = (photos / "a.png", photos / "b.jpg", out, "--compare", "--skip-existing")
    assert restore(*asked, "--dry-run") == 0
    said = capsys.readouterr().out
    assert f"skip    {photos / 'a.png'} -> {out / 'a.png'}\n" in said
    assert f" -> {out / 'b.jpg'}, {out / 'b.jpg'}.compare.jpg\n" in said
    for options in (["--dry-run"], []):
        assert restore(*asked, "--json", *options) == 0
        lines = map(json.loads, capsys.readouterr().out.splitlines())
        pictures = {line["output"]: line["comparison"] for line in lines}
        assert pictures == {
            str(out / "a.png"): None,
            str(out / "b.jpg"): f"{out / 'b.jpg'}.compare.jpg",
        }


def test_an_image_that_is_too_large_names_the_limit(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = (photos / "a.png", photos.parent / "out")
    assert restore(*arguments, "--max-megapixels", "0.0005") == 1
    said = capsys.readouterr().err
    assert "32 x 24 pixels, 0.00077 MP, above the limit of 0.0005 MP; --max-megapixels" in said
    assert restore(*arguments, "--max-megapixels", "0.01") == 0


def refused(said: str) -> str:
    """The line that says why: the last, and the only one of its kind."""
    *before, line = said.splitlines()
    assert line.startswith("baryir: ")
    assert not any(other.startswith("baryir: ") for other in before)
    return line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["restore"], "missing argument 'INPUT'"),
        (["restore", "x"], "missing argument 'OUTPUT'"),
        (["restore", "x", "--in-place"], "folder again: baryir restore x x --in-place"),
        (["restore", "x", "out", "--strength", "2"], "--strength 2: use a number from 0 to 1"),
        (["restore", "x", "out", "--tile", "x"], "--tile x: use a whole number"),
        (
            ["restore", "x", "out", "--format", "gif"],
            "--format gif: use png, jpeg, jpg, webp, tiff, tif, bmp, avif, heic, heif, jp2 or j2k",
        ),
        (["restore", "x", "out", "--tile"], "'--tile' requires an argument"),
        (["restore", "x", "out", "--bogus"], "--bogus"),
        (["restore", "x", "out", "--\x1b[31m"], r"--\x1b[31m"),
        (["bogus"], "no such command 'bogus'; use restore, eval,"),
        (["weights", "bogus"], "no such command 'bogus'; use convert, list,"),
        (["train", "--keep", "0"], "--keep 0: use a whole number from 1 up"),
    ],
)
def test_wrong_usage_shows_the_help_and_one_line_with_code_2(
    baryir: Run, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    assert baryir(*arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in refused(said.err)
    command = " ".join(["baryir", *arguments[: arguments[0] != "bogus"]])
    assert f"Usage: {command} [OPTIONS]" in said.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["restore", "nowhere", "out"], "nowhere: no such file or folder; check the path"),
        (["restore", ".", "out", "--suffix", "/x"], "--suffix"),
        (["restore", str(ROOT / "examples"), "out.png"], "named like one"),
        (["restore", f"{ROOT}/examples/noise-cat.png", "out", "--quality", "9"], "--quality is"),
        (["restore", "-", "-", "--format", "tif", "--quality", "9"], "all outputs are TIFF"),
        (
            ["restore", "x", "out", "--max-megapixels", "nan"],
            "--max-megapixels nan: use a number above 0",
        ),
        (["restore", "x", "out", "--tile", "8"], "--tile 8: use 0 for the whole image, or a whole"),
    ],
)
def test_impossible_requests_are_one_line_with_code_2(
    baryir: Run, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    assert baryir(*arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert message in refused(line)


def test_unknown_weights_are_one_line(
    baryir: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    assert baryir("restore", photos, photos.parent / "out", "--weights", "nothing") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "nothing: no such weights; use small, a file or hf:owner/repo" in line


@pytest.mark.parametrize("wrong", ["nothing", "hf:nothing", "{photos}/a.png"])
@pytest.mark.parametrize("option", [[], ["--dry-run"]])
def test_wrong_weights_are_found_before_the_outputs_are_looked_at(
    baryir: Run, photos: Path, capsys: pytest.CaptureFixture, wrong: str, option: list[str]
) -> None:
    weights = wrong.format(photos=photos)
    assert baryir("restore", photos, photos, "--weights", weights, *option) != 0
    assert weights in refused(capsys.readouterr().err)


def test_verbose_tells_where_weights_are_and_what_chose_them(
    baryir: Run,
    photos: Path,
    tiny_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tiny_weights.parent)
    options = ["--weights", tiny_weights.name, "--device", "cpu", "-v"]
    assert baryir("restore", photos / "a.png", photos.parent / "out", *options) == 0
    told = f"note    weights {tiny_weights.name}, {tiny_weights} (chosen by --weights)\n"
    assert told in capsys.readouterr().err


def test_broken_weights_are_one_line(
    baryir: Run, photos: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(tiny_weights.read_bytes()[:-100])
    assert baryir("restore", photos, photos.parent / "out", "--weights", broken) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "broken.safetensors" in line


def test_a_photograph_goes_through_a_pipe(tiny_weights: Path) -> None:
    data = io.BytesIO()
    picture().save(data, "PNG")
    process = tool("restore", "-", "-", "--weights", tiny_weights, "--device", "cpu")
    out, err = process.communicate(data.getvalue(), timeout=120)
    assert process.returncode == 0, err
    assert Image.open(io.BytesIO(out)).size == (32, 24)
    assert b"1 done" in err


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell closes the streams")
@pytest.mark.parametrize(
    ("closing", "arguments", "code"),
    [
        (">&-", "restore {} out --json", 2),
        ("2>&-", "restore {} out --bogus", 2),
        ("2>&-", "restore nowhere out", 2),
    ],
)
def test_closed_streams_end_the_run_without_a_traceback(
    tmp_path: Path, closing: str, arguments: str, code: int
) -> None:
    command = f"{sys.executable} -m baryir_cli {arguments.format(ROOT / 'examples')} {closing}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    shell = ["sh", "-c", command]
    done = subprocess.run(shell, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr + done.stdout
    assert not (tmp_path / "out").exists()


def test_a_file_may_be_called_like_a_standard_stream(
    restore: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture().save("-", "PNG")
    assert restore("./-", "out/") == 0
    assert os.listdir("out") == ["-.png"]
    assert restore("./-", "./-/") == 2, "which is a file, not a folder"


def test_json_and_standard_output_exclude_each_other(restore: Run, photos: Path) -> None:
    assert restore(photos / "a.png", "-", "--json") == 2


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_interrupted_outputs_are_complete_or_absent(
    tiny_weights: Path, tmp_path: Path, name: str
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(40):
        picture(160, 160, number).save(folder / f"{number:02}.png")
    arguments = ["restore", folder, out, "--weights", tiny_weights, "--device", "cpu"]
    process = tool(*arguments)
    deadline = time.monotonic() + 60
    while len(list(out.glob("*.png")) if out.exists() else []) < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=60)
    finished = sorted(out.glob("*.png"))
    assert 3 <= len(finished) < 40
    for path in finished:
        opened(path)
    if name != "SIGKILL":
        assert process.returncode == 130
        assert b"baryir: interrupted" in err
        assert b"Traceback" not in err
        assert len(list(out.iterdir())) == len(finished)
    again = tool(*arguments, "--skip-existing")
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0
    assert f"{40 - len(finished)} done, {len(finished)} skipped".encode() in err


@pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")
def test_a_terminal_that_closes_ends_the_run_in_order(tiny_weights: Path, tmp_path: Path) -> None:
    """Nothing can be shown there any more, which must not disturb the end."""
    out = tmp_path / "out"
    (tmp_path / "in").mkdir()
    for number in range(40):
        picture(160, 160, number).save(tmp_path / "in" / f"{number:02}.png")
    ours, theirs = os.openpty()
    arguments = ("restore", tmp_path / "in", out, "--weights", tiny_weights, "--device", "cpu")
    with tool(*arguments, stderr=theirs) as process:
        os.close(theirs)
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(os.read, ours, 100)
            deadline = time.monotonic() + 60
            while len(list(out.glob("*.png")) if out.exists() else []) < 3:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            reading.result()
        os.close(ours)
        process.send_signal(signal.SIGHUP)
    assert process.returncode == 130
    assert all(opened(path) for path in out.iterdir())
    assert 3 <= len(list(out.glob("*.png"))) == len(list(out.iterdir())) < 40


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interruption_in_place_says_what_is_replaced(tiny_weights: Path, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:02}.png" for number in range(40)]
    for number, path in enumerate(paths):
        picture(160, 160, number).save(path)
    before = [path.stat().st_ino for path in paths]

    def replaced() -> int:
        return sum(p.stat().st_ino != b for p, b in zip(paths, before, strict=True))

    process = tool("restore", tmp_path, tmp_path, "--in-place", "--weights", tiny_weights)
    deadline = time.monotonic() + 60
    while replaced() < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    count = replaced()
    said = f"; {count} of 40 inputs were replaced, the last {paths[count - 1]}; another run"
    assert said in err.decode()


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_run_whose_lines_nobody_reads_ends(tiny_weights: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(40):
        picture(160, 160, number).save(tmp_path / "in" / f"{number:02}.png")
    out = tmp_path / "out"
    with tool("restore", tmp_path / "in", out, "--json", "--weights", tiny_weights) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        summary, last = process.stderr.read().decode().splitlines()
        assert re.fullmatch(r"\d+ done, 0 skipped, 0 failed; .*; \d+ left", summary)
        assert last == (
            "baryir: standard output: Broken pipe; every output is complete or absent, "
            "--skip-existing continues the run"
        )
    assert process.returncode == 1
    assert 1 <= len(list(out.iterdir())) < 40


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("arguments", "lead"),
    [
        ("weights list", "baryir: "),
        ("--version", "baryir: "),
        ("eval --list", "baryir: "),
        ("restore examples/noise-cat.png out --dry-run", "baryir: "),
        ("degrade examples/noise-cat.png {}/out --type noise --json", "baryir: "),
        (
            "degrade examples/noise-cat.png - --type noise",
            "failed  examples/noise-cat.png: ",
        ),
    ],
)
def test_a_full_standard_output_is_named(
    tmp_path: Path, arguments: str, lead: str, unbuffered: str
) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "baryir_cli", *arguments.format(tmp_path).split()],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    line, *others = done.stderr.splitlines()
    assert line.startswith(f"{lead}standard output: No space left on device")
    assert others == (["0 done, 0 skipped, 1 failed"] if lead.startswith("failed") else [])


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_photograph_whose_reader_stops_early_is_named(tmp_path: Path) -> None:
    picture(600, 600).save(tmp_path / "a.png")  # larger than a pipe holds
    with tool("degrade", tmp_path / "a.png", "-", "--type", "noise") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        said = process.stderr.read().decode()
    assert process.returncode == 1
    assert f"failed  {tmp_path / 'a.png'}: standard output: Broken pipe\n" in said
    assert "Exception" not in said


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_interrupt_does_not_wait_for_standard_input(tiny_weights: Path, tmp_path: Path) -> None:
    process = tool("restore", "-", tmp_path / "out", "--weights", tiny_weights, "--verbose")
    assert process.stdin is not None
    assert process.stderr is not None
    for word in (b" weights ", b" device "):
        assert word in process.stderr.readline()
    time.sleep(0.5)  # standard input is read next
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.startswith(b"baryir: interrupted")


def test_results_come_in_order(restore: Run, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for number in range(6):
        path = tmp_path / f"{number}.png"
        if number in (1, 4):
            path.write_text("no")
        else:
            picture(seed=number).save(path)
    assert restore(tmp_path, tmp_path / "out", "--json") == 3
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["input"]).stem for line in lines] == list("012345")


@pytest.mark.skipif(os.name != "posix", reason="such names are for POSIX")
def test_names_cannot_forge_lines(
    restore: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    name = "a\ndone    forged\x1b[31m.png"
    (tmp_path / name).write_text("no")
    assert restore(tmp_path, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert not any(line.startswith("done") for line in said.splitlines())
    assert restore(tmp_path, tmp_path / "out", "--dry-run") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.skipif(os.name != "posix", reason="such names are for POSIX")
def test_names_of_outputs_cannot_forge_lines(
    restore: Run,
    photos: Path,
    tiny_weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    out = tmp_path / "out\ndone    forged\x1b[31m"
    (out / "a.png").mkdir(parents=True)
    weights = out / "tiny.safetensors"
    weights.symlink_to(tiny_weights)
    assert restore(photos / "a.png", photos / "b.jpg", out, "-v", "--weights", weights) == 3
    said = capsys.readouterr().err
    for begins in ("note    weights ", "failed  ", f"done    {photos}"):
        (line,) = (line for line in said.splitlines() if line.startswith(begins))
        assert r"out\ndone    forged\x1b[31m" in line
    assert "\x1b" not in said
    assert "\ndone    forged" not in said


def test_json_survives_a_small_encoding(tiny_weights: Path, photos: Path) -> None:
    process = tool(
        *("restore", photos, photos.parent / "out", "--json", "--weights", tiny_weights),
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
    )
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    names = {Path(json.loads(line)["input"]).name for line in out.splitlines()}
    assert names == {p.name for p in photos.iterdir()}


def test_an_output_that_cannot_be_created_is_one_line(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    (photos.parent / "file").touch()
    assert restore(photos, photos.parent / "file" / "out") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "file is a file, not a folder" in line


def test_a_folder_that_cannot_be_written_to_is_named_with_the_reason(
    restore: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    usual, out = os.open, photos.parent / "out"

    def read_only(path: Any, *arguments: Any, **settings: Any) -> int:
        if str(path).startswith(str(out)):
            raise OSError(30, "Read-only file system", path)
        return usual(path, *arguments, **settings)

    monkeypatch.setattr(os, "open", read_only)
    assert restore(photos, out) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        line == f"baryir: {out} cannot be written to: Read-only file system; choose another folder"
    )


@pytest.mark.parametrize(
    ("code", "options", "way"),
    [
        (errno.ENOSPC, [], "device; free some space, and repeat with --skip-existing"),
        (errno.EDQUOT, ["--overwrite"], "exceeded; free some space, and repeat"),
        (errno.EFBIG, [], "large; the file system, or ulimit -f, allows no larger file"),
    ],
)
def test_an_output_for_which_there_is_no_room_is_named_and_leaves_nothing(
    restore: Run,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    code: int,
    options: list[str],
    way: str,
) -> None:
    monkeypatch.setattr(os, "fsync", failing(code))
    out = photos.parent / "out"
    assert restore(photos / "a.png", out, *options) == 1
    line, _ = capsys.readouterr().err.splitlines()
    assert line.startswith(f"failed  {photos / 'a.png'}: {out / 'a.png'} cannot be written: ")
    assert line.endswith(way)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("in_place", [False, True])
def test_a_full_disk_ends_the_run(
    restore: Run,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    in_place: bool,
) -> None:
    for number in range(20):
        picture(seed=number).save(photos / f"{number}.png")
    usual, computed, fsync, written = Engine.restore, [], os.fsync, []

    def restored(*arguments: Any, **settings: Any) -> Any:
        computed.append(1)
        time.sleep(0.05)
        return usual(*arguments, **settings)

    def room_for_one(file: int) -> None:
        written.append(file)
        (fsync if len(written) == 1 else failing(errno.ENOSPC))(file)

    monkeypatch.setattr(Engine, "restore", restored)
    monkeypatch.setattr(os, "fsync", room_for_one)
    options = ["--in-place"] if in_place else []
    assert restore(photos, photos if in_place else photos.parent / "out", *options) == 1
    *lines, summary, last = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines][:2] == ["done", "failed"]
    assert len(lines) <= len(computed) < 6
    assert re.fullmatch(rf"1 done, 0 skipped, {len(lines) - 1} failed; .*; \d+ left", summary)
    way = "restore it again" if in_place else "repeat with --skip-existing"
    assert all(line.endswith(f"; free some space, and {way}") for line in lines[1:])
    left = "; 1 of 23 inputs were" if in_place else ", --skip-existing continues the run"
    start = "baryir: stopped because the disk is full; every output is complete or absent"
    assert last.startswith(start + left)


def test_an_output_folder_that_vanishes_is_not_made_again(
    restore: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """It may be a drive that was pulled, and its place another one."""
    usual, out = Engine.restore, photos.parent / "out"

    def restored(*arguments: Any, **settings: Any) -> Any:
        if out.is_dir():
            out.rename(photos.parent / "gone")
        return usual(*arguments, **settings)

    monkeypatch.setattr(Engine, "restore", restored)
    assert restore(photos, out) == 1
    assert "cannot be written: No such file or directory" in capsys.readouterr().err
    assert not out.exists()


def test_lines_tell_of_changed_tones(
    baryir: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    asked = ("restore", ROOT / "examples" / "dark-coffee.png")
    small = ("--weights", "small", "--device", "cpu", "--precision", "fp32")
    with Image.open(asked[1]) as image:
        image.resize((150, 100)).save(tmp_path / "dark.png")
    asked = ("restore", tmp_path / "dark.png")
    assert baryir(*asked, tmp_path / "a.png", *small) == 0
    said = capsys.readouterr().err
    assert "s, tones changed)\n1 done (1 with changed tones), 0 skipped" in said
    assert baryir(*asked, tmp_path / "b.png", *small, "--keep-tones", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["toned"] is False
    assert "tones" not in said.err
    before, toned, kept = (opened(tmp_path / f"{name}.png") for name in ("dark", "a", "b"))
    assert np.mean(toned) > np.mean(before) + 20
    assert abs(np.mean(kept) - np.mean(before)) < 2


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("--keep-tones", "tones are kept anyway: this network has no scene judge"),
        ("--keep-shake", "shake is kept anyway: this network has no deconvolution"),
    ],
)
def test_what_a_network_keeps_anyway_is_noted(
    restore: Run, photos: Path, capsys: pytest.CaptureFixture, option: str, why: str
) -> None:
    assert restore(photos, photos.parent / "out", option) == 0
    assert capsys.readouterr().err.count(f"note    {why}\n") == 1


def test_a_dry_run_as_json_is_json(
    baryir: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    listing = os.scandir

    def scandir(path: str) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    (photos / "locked").mkdir()
    monkeypatch.setattr(os, "scandir", scandir)
    assert baryir("restore", photos, photos.parent / "out", "-r", "--dry-run", "--json") == 0
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert {line["status"] for line in lines} == {"planned"}
    errors = {Path(line["input"]).name: line["error"] for line in lines if line["error"]}
    assert errors == {"locked": "Permission denied"}
    assert "nothing was done" in said.err


def test_standard_output_may_take_a_little_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unbuffered, it does."""
    got = bytearray()

    class Narrow(io.RawIOBase):
        def write(self, data: Any) -> int:
            got.extend(data[:7])
            return min(len(data), 7)

    monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=Narrow()))
    stdout.write_bytes(bytes(range(100)))
    assert got == bytes(range(100))
