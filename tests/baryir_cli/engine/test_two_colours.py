"""Pictures of two colours are no photographs, and stay as they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from baryir_cli import Restorer
from baryir_cli.engine import Engine
from baryir_cli.engine.pixels import has_two_colours_at_most
from baryir_cli.engine.visible import restore_visible
from tests.baryir_cli.engine.test_frame import Blurs
from tests.baryir_cli.images.test_layouts import photograph
from tests.conftest import Run

DITHERED = np.asarray(Image.fromarray(photograph()).convert("1"))


def in_colours(light: tuple[int, ...], dark: tuple[int, ...]) -> np.ndarray:
    return np.where(DITHERED[..., None], np.uint8(light), np.uint8(dark))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_two_colours_stay(kind: type) -> None:
    pixels = in_colours((250, 235, 200), (60, 40, 10)).astype(kind)
    if kind is np.float32:
        pixels /= 255
    engine = Engine(Blurs(0.5), device="cpu", precision="fp32", tile=0)  # type: ignore[arg-type]
    done: list[float] = []
    restored, report = restore_visible(engine, pixels, None, progress=done.append)
    np.testing.assert_array_equal(restored, pixels)
    assert restored is not pixels
    assert (report.photographs, report.change, report.tiles) == (0, 0, 0)
    assert done == [1.0]


def test_a_third_colour_anywhere_makes_it_a_photograph() -> None:
    pixels = in_colours((255,) * 3, (0,) * 3)
    assert has_two_colours_at_most(pixels)
    assert has_two_colours_at_most(np.full((70, 9, 3), 7, np.uint8)), "one"
    for place in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        third = pixels.copy()
        third[place] = 7, 7, 9
        assert not has_two_colours_at_most(third)
    engine = Engine(Blurs(0.5), device="cpu", precision="fp32", tile=0)  # type: ignore[arg-type]
    assert restore_visible(engine, third, None)[1].photographs == 1


def test_the_command_says_so(
    baryir: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(DITHERED).save(tmp_path / "fax.tif")
    out = tmp_path / "out.tif"
    assert baryir("restore", tmp_path / "fax.tif", out, "--device", "cpu") == 0
    said = capsys.readouterr()
    assert "two colours at most, left as it is" in said.out + said.err
    assert "hardly changed" not in said.out + said.err
    with Image.open(out) as after:
        assert after.mode == "1"
        np.testing.assert_array_equal(np.asarray(after), DITHERED)
    assert baryir("restore", tmp_path / "fax.tif", out, "--overwrite", "--json") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (told["photographs"], told["change"]) == (0, 0)


def test_so_do_images_of_pillow() -> None:
    restorer = Restorer.from_weights("small", device="cpu", precision="fp32")
    for image in (Image.fromarray(DITHERED), Image.fromarray(DITHERED).convert("L")):
        restored = restorer.restore(image)
        assert restored.mode == image.mode
        np.testing.assert_array_equal(np.asarray(restored), np.asarray(image))
