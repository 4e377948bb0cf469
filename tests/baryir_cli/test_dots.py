"""Pictures of two colours, whose dots show tones, keep these whatever the network does."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from baryir_cli import Restorer
from baryir_cli.dots import give_tones_back, two_colours
from baryir_cli.engine import Engine
from baryir_cli.images import encode_photo, read_photo, with_pixels
from tests.baryir_cli.engine.test_frame import Blurs
from tests.baryir_cli.images.samples import opened, pil_bytes
from tests.baryir_cli.images.test_layouts import DITHERED, LINES, halftone, letters, photograph
from tests.conftest import Run


def engine() -> Engine:
    """Does to dense dots what the embedded network does."""
    return Engine(Blurs(0.5), device="cpu", precision="fp32", tile=0)  # type: ignore[arg-type]


def palette(light: tuple[int, ...], dark: tuple[int, ...]) -> Image.Image:
    """The dots with index 0 for light and 1 for dark, against the custom."""
    image = Image.fromarray(np.uint8(~DITHERED))
    image.putpalette([*light, *dark])
    return image


def transparent() -> Image.Image:
    image = Image.fromarray(np.uint8(DITHERED) * np.uint8(255))
    image.info["transparency"] = 7
    return image


STORED = {
    "1 bit": Image.fromarray(DITHERED),
    "grey": Image.fromarray(np.uint8(DITHERED) * np.uint8(255)),
    "transparent": transparent(),
    "palette": palette((255, 255, 255), (0, 0, 0)),
    "sepia": palette((250, 235, 200), (60, 40, 10)),
}


@pytest.mark.parametrize("strength", [0.0, 0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("format_name", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("image", STORED.values(), ids=STORED)
def test_tones_stay_whatever_the_file_the_format_and_the_strength(
    image: Image.Image, format_name: str, strength: float
) -> None:
    photo = read_photo(pil_bytes(image, "png"))
    pixels, report = engine().restore(photo.pixels, strength=strength)
    again = opened(encode_photo(with_pixels(photo, pixels), format_name)).convert("RGB")
    before = cv2.GaussianBlur(photo.pixels, (0, 0), 6).astype(int)
    off = cv2.GaussianBlur(np.asarray(again), (0, 0), 6).astype(int) - before
    assert np.abs(off.mean((0, 1))).max() < 2
    assert np.abs(off).mean() < 5
    assert (report.change == 0) == (strength == 0)


def test_dots_become_the_photograph_that_they_show() -> None:
    pixels, _ = engine().restore(read_photo(pil_bytes(STORED["1 bit"], "png")).pixels)
    off = pixels[..., 1].astype(int) - photograph()
    assert abs(off.mean()) < 1
    assert np.abs(off).mean() < 8


@pytest.mark.parametrize("size", [(1, 2), (3, 2), (7, 300), (200, 9)])
def test_small_and_thin_pictures_have_tones_too(size: tuple[int, int]) -> None:
    pixels = np.uint8(255) * np.uint8(np.indices(size).sum(0) % 2)[..., None].repeat(3, 2)
    again = pixels // 4 + np.uint8(60)
    give_tones_back(again, pixels)
    assert abs(again.mean() - pixels.mean()) < 2


def test_other_pictures_are_left_to_the_network() -> None:
    pixels = np.uint8(255) * DITHERED[..., None].repeat(3, 2)
    first, second = two_colours(pixels) or (None, None)
    assert {tuple(first), tuple(second)} == {(0,) * 3, (255,) * 3}
    assert two_colours(np.full((70, 9, 3), 7, np.uint8)) is None, "one"
    assert two_colours(pixels.astype(np.uint16)) is None
    pixels[-1, -1] = 7, 7, 9
    assert two_colours(pixels) is None
    expected = cv2.blur(pixels, (7, 7), borderType=cv2.BORDER_REFLECT_101) // 2
    assert np.abs(engine().restore(pixels)[0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("image", "mode", "most"),
    [
        (letters() > 128, "1", 2),
        # Without the slanted lines it would be 24, and some of their ends go when greys are cut.
        (LINES, "1", 6),
        (DITHERED, "L", 2),
    ],
)
def test_the_embedded_network_keeps_letters_and_the_tones_of_dots(
    image: np.ndarray, mode: str, most: float
) -> None:
    dithered = Image.fromarray(image[:96, :128])
    restored = Restorer.from_weights("small", device="cpu", precision="fp32").restore(dithered)
    assert restored.mode == mode
    off = np.asarray(restored.convert("L")).mean() - np.asarray(dithered.convert("L")).mean()
    assert abs(off) < most


def test_a_print_keeps_its_tones_from_file_to_file(baryir: Run, tmp_path: Path) -> None:
    """Also when they are measured."""
    for name, image in (("in", halftone(photograph())), ("target", photograph() > 90)):
        (tmp_path / name).mkdir()
        Image.fromarray(image[:96, :96]).save(tmp_path / name / "a.png")
    source, target, out = tmp_path / "in", tmp_path / "target", tmp_path / "out"
    plain = ("--weights", "small", "--device", "cpu", "--precision", "fp32")
    assert baryir("restore", source, out, *plain) == 0
    with Image.open(source / "a.png") as before, Image.open(out / "a.png") as after:
        assert after.mode == "L"
        assert abs(np.asarray(after).mean() - np.asarray(before.convert("L")).mean()) < 2
    pairs = ("--target", target, "--metrics", "psnr")
    assert baryir("eval", "--input", source, *pairs, *plain, "--json", tmp_path / "a.json") == 0
    assert baryir("eval", "--restored", out, *pairs, "--json", tmp_path / "b.json") == 0
    measured, written = (
        json.loads((tmp_path / name).read_text())["summary"]["lines"][0]["restored"]
        for name in ("a.json", "b.json")
    )
    assert measured == pytest.approx(written, abs=0.1)
