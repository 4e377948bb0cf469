"""``baryir degrade`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.baryir_cli.helpers import run_without
from tests.conftest import Run

TYPES = ["noise", "camera", "film", "rain", "haze", "blur", "lowlight", "jpeg", "underwater"]


def grey(value: int = 128, size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.new("RGB", size, (value, value, value))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(float)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "b").mkdir(parents=True)
    for name in ("a.png", "c.png", "b/a.png"):
        grey().save(folder / name)
    return folder


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (64, 48)])
def test_every_type_takes_every_size(
    baryir: Run, tmp_path: Path, kind: str, size: tuple[int, int]
) -> None:
    grey(120, size).save(tmp_path / "a.png")
    assert baryir("degrade", tmp_path / "a.png", tmp_path / "out", "--type", kind) == 0
    assert pixels(tmp_path / "out" / "a.png").shape == (size[1], size[0], 3)


def test_results_do_not_depend_on_order_and_company(
    baryir: Run, photos: Path, tmp_path: Path
) -> None:
    arguments = ["--type", "rain,noise", "--seed", "7"]
    assert baryir("degrade", photos, tmp_path / "all", "-r", *arguments) == 0
    assert baryir("degrade", photos / "c.png", tmp_path / "one", *arguments) == 0
    assert baryir("degrade", photos / "c.png", tmp_path / "two", "--type", "rain,noise") == 0
    folders = [photos / "c.png", photos, photos / "b"]
    assert baryir("degrade", *folders, tmp_path / "several", "-r", *arguments) == 0
    several = [pixels(path) for path in sorted((tmp_path / "several").iterdir()) if path.is_file()]
    together, alone = tmp_path / "all" / "c.png", tmp_path / "one" / "c.png"
    assert together.read_bytes() == alone.read_bytes()
    assert any(np.array_equal(pixels(alone), one) for one in several)
    assert not np.array_equal(pixels(alone), pixels(tmp_path / "two" / "c.png")), "the seed"
    assert not np.array_equal(pixels(together), pixels(tmp_path / "all" / "a.png")), "the name"
    deep = tmp_path / "all" / "b" / "a.png"
    assert not np.array_equal(pixels(deep), pixels(tmp_path / "all" / "a.png")), "the folder"


def test_parameters_have_their_effect(baryir: Run, tmp_path: Path) -> None:
    grey(size=(200, 200)).save(tmp_path / "a.png")

    def degraded(kind: str) -> np.ndarray:
        out = tmp_path / kind.replace(":", "_")
        assert baryir("degrade", tmp_path / "a.png", out, "--type", kind) == 0
        return pixels(out / "a.png")

    assert degraded("noise:12").std() == pytest.approx(12, rel=0.03)
    assert degraded("noise:sigma=40").std() == pytest.approx(40, rel=0.03)
    assert np.array_equal(degraded("haze:beta=0"), np.full((200, 200, 3), 128))
    assert degraded("haze:20:0.5").mean() == pytest.approx(0.5 * 255, abs=8)


def test_steps_are_done_in_the_order_given(baryir: Run, tmp_path: Path) -> None:
    grey(size=(120, 120)).save(tmp_path / "a.png")
    for number, kind in enumerate(["noise:50,blur:20:sigma=0", "blur:20:sigma=0,noise:50"]):
        out = tmp_path / f"{number}.png"
        assert baryir("degrade", tmp_path / "a.png", out, "--type", kind) == 0
    assert pixels(tmp_path / "0.png").std() < 0.6 * pixels(tmp_path / "1.png").std()


def test_depth_alpha_format_and_metadata_are_kept(baryir: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    values = np.random.default_rng(0).integers(20000, 40000, (80, 80), np.uint16)
    Image.fromarray(values).save(folder / "deep.png")
    clear = Image.new("RGBA", (80, 80), (90, 120, 150, 77))
    clear.save(folder / "clear.png")
    Image.new("L", (80, 80), 128).save(folder / "grey.png")
    grey(size=(80, 80)).save(folder / "photo.jpg", exif=_exif("A. Person"))
    out = tmp_path / "out"
    assert baryir("degrade", folder, out, "--type", "noise:20") == 0
    with Image.open(out / "deep.png") as image:
        assert image.mode.startswith("I;16")
        difference = np.asarray(image).astype(float) - values
        assert difference.std() == pytest.approx(20 * 257, rel=0.05)
        assert len(np.unique(difference % 257)) > 100, "no detour over 8 bits"
    assert (pixels(out / "clear.png")[..., 3] == 77).all()
    with Image.open(out / "grey.png") as image:
        assert image.mode == "L"
    assert pixels(out / "grey.png").std() == pytest.approx(20, rel=0.05)
    with Image.open(out / "photo.jpg") as image:
        assert image.format == "JPEG"
        assert image.getexif()[0x013B] == "A. Person"


def _exif(artist: str) -> Image.Exif:
    exif = Image.Exif()
    exif[0x013B] = artist
    return exif


def test_one_bad_file_stops_no_other(
    baryir: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (photos / "bad.png").write_text("no image")
    out = tmp_path / "out"
    assert baryir("degrade", photos, out, "--type", "noise", "--json") == 3
    said = capsys.readouterr()
    lines = {Path(o["input"]).name: o for o in map(json.loads, said.out.splitlines())}
    assert lines["bad.png"]["status"] == "failed"
    assert lines["a.png"]["status"] == "done"
    assert lines["a.png"]["type"] == "noise"
    assert lines["a.png"]["seed"] == 0
    (line,) = [line for line in said.err.splitlines() if "bad.png" in line]
    assert line.startswith("failed")
    assert (lines["bad.png"]["type"], lines["bad.png"]["seed"]) == (None, None)
    assert baryir("degrade", photos / "bad.png", out, "--type", "noise") == 1


def test_an_image_of_an_earlier_run_does_not_get_this_runs_seed(
    baryir: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run = ["degrade", photos / "a.png", tmp_path / "out", "--type", "noise", "--json"]
    assert baryir(*run) == 0
    assert baryir(*run, "--seed", "7", "--skip-existing") == 0
    _, skipped = map(json.loads, capsys.readouterr().out.splitlines())
    assert (skipped["status"], skipped["type"], skipped["seed"]) == ("skipped", None, None)


@pytest.mark.parametrize("kind", ["jpeg", "camera:quality=80"])
def test_an_image_too_wide_for_a_jpeg_is_one_line(
    baryir: Run, tmp_path: Path, capfd: pytest.CaptureFixture, kind: str
) -> None:
    grey(size=(65501, 2)).save(tmp_path / "wide.png")
    assert baryir("degrade", tmp_path / "wide.png", tmp_path / "out.png", "--type", kind) == 1
    (line, _) = capfd.readouterr().err.splitlines()
    assert line.endswith("wide.png: 65501 x 2 is too large for a JPEG, at most 65500 a side")


def test_originals_are_safe(baryir: Run, photos: Path, capsys: pytest.CaptureFixture) -> None:
    before = (photos / "a.png").read_bytes()
    assert baryir("degrade", photos, photos, "--type", "noise") == 2
    assert (photos / "a.png").read_bytes() == before
    assert baryir("degrade", photos, photos.parent / "out", "--type", "noise", "--dry-run") == 0
    assert "2 to degrade" in capsys.readouterr().out
    assert not (photos.parent / "out").exists()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "snow",
            "degradation 'snow': use noise, camera, film, rain, haze, blur, lowlight, jpeg or",
        ),
        ("haze,", "nothing stands before or after a comma; write haze"),
        ("haze,,noise", "nothing stands before or after a comma; write haze,noise"),
        (",", "a comma; write a degradation"),
        ("rain:angle=20,length=40", "parameters follow after colons: rain:angle=20:length=40"),
        ("noise:256", "noise sigma '256': use a number from 0 to 255"),
        ("noise:nan", "noise sigma 'nan': use a number from 0 to 255"),
        ("noise:1:2", "noise has no parameter for '2', only sigma"),
        ("rain:angle=20:angle=30", "rain: angle is given twice"),
        ("jpeg:10.5", "jpeg quality '10.5': use a whole number from 1 to 100"),
        ("rain:speed=3", "rain parameter 'speed': use angle, length"),
        ("rain:layers=1.5", "rain layers '1.5': use a whole number from 1 to 16"),
        ("jpeg:quality=", "jpeg quality '': use a whole number from 1 to 100"),
        ("underwater:water=IV", "underwater water 'IV': use I, IA"),
    ],
)
def test_wrong_types_are_one_line_and_code_2(
    baryir: Run, photos: Path, capsys: pytest.CaptureFixture, kind: str, message: str
) -> None:
    assert baryir("degrade", photos, photos.parent / "out", "--type", kind) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("baryir: --type")
    assert message in line
    assert not (photos.parent / "out").exists()


def test_a_repeated_type_adds_a_step(
    baryir: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source = photos / "a.png"
    steps = ("--type", "rain", "--type", "haze,noise")
    assert baryir("degrade", source, tmp_path / "a.png", *steps, "--json") == 0
    assert json.loads(capsys.readouterr().out)["type"] == "rain,haze,noise"
    assert baryir("degrade", source, tmp_path / "b.png", "--type", "rain,haze,noise") == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_list_shows_every_type_and_parameter(baryir: Run, capsys: pytest.CaptureFixture) -> None:
    from train.degradations import KINDS

    assert baryir("degrade", "--list") == 0
    said = capsys.readouterr().out
    for kind in KINDS.values():
        assert f"{kind.name}: {kind.summary}\n" in said
        for parameter in kind.parameters:
            assert f"  {parameter.name} " in said
    assert max(map(len, said.splitlines())) <= 80
    assert list(KINDS) == TYPES


def test_help_names_every_type(
    baryir: Run, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.degradations import KINDS

    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 300)
    assert baryir("degrade", "--help") == 0
    said = capsys.readouterr().out
    *most, last = KINDS
    assert f" {', '.join(most)} or {last}, " in said
    summary = said.partition("Degrade photographs: ")[2].partition(".")[0]
    named = summary.replace(" ", "").lower()
    assert [kind for kind in KINDS if kind not in named] == ["camera"], "it is noise too"


def test_degrade_imports_no_torch(photos: Path) -> None:
    run_without("torch", "degrade", "in", "out", "--type", "rain,underwater", cwd=photos.parent)
    assert (photos.parent / "out" / "a.png").exists()
