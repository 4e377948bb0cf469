"""What is restored of a photograph in a frame."""

from __future__ import annotations

import io

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw, ImageOps
from torch import Tensor, nn
from torch.nn import functional as F

from baryir_cli.engine import Engine
from baryir_cli.engine.frame import LEAST, inside
from models.network import Restoration
from models.presets import preset

PHOTO = skimage.data.astronaut()[:160, 100:300]
Sides = tuple[int, int, int, int]
"""Left, top, right and bottom."""


def framed(sides: Sides, colour: tuple[int, ...], photo: np.ndarray = PHOTO) -> np.ndarray:
    return np.asarray(ImageOps.expand(Image.fromarray(photo), sides, colour))


def frame_of(pixels: np.ndarray) -> Sides:
    rows, columns = inside(pixels)
    height, width = pixels.shape[:2]
    return columns.start, rows.start, width - columns.stop, height - rows.stop


def as_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=quality)
    with Image.open(data) as image:
        return np.asarray(image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (240, 236, 225), (20, 60, 200)])
@pytest.mark.parametrize("sides", [(1, 1, 1, 1), (9, 20, 9, 20), (0, 33, 0, 0), (0, 0, 70, 5)])
def test_a_frame_is_found(sides: Sides, colour: tuple[int, ...], dtype: type) -> None:
    scale = np.float64({np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[dtype])
    assert frame_of((framed(sides, colour) * scale).astype(dtype)) == sides
    assert frame_of((PHOTO * scale).astype(dtype)) == (0, 0, 0, 0)


@pytest.mark.parametrize("quality", [85, 95])
def test_a_frame_is_found_in_a_jpeg_and_in_noise(quality: int) -> None:
    sides = (20, 12, 30, 17)
    for colour in ((0, 0, 0), (250, 250, 250)):
        assert frame_of(as_jpeg(framed(sides, colour), quality)) == sides
    noisy = PHOTO + np.random.default_rng(0).normal(0, 25, PHOTO.shape)
    noisy = noisy.clip(0, 255).astype(np.uint8)
    assert frame_of(as_jpeg(framed(sides, (0, 0, 0), noisy), quality)) == sides
    assert frame_of(noisy) == (0, 0, 0, 0)


def test_a_frame_in_a_frame_with_writing_and_dust_is_found() -> None:
    page = framed((30,) * 4, (235, 230, 220), framed((3,) * 4, (200, 30, 30)))
    image = Image.fromarray(page)
    ImageDraw.Draw(image).text((90, 205), "1969", (60, 60, 60))
    image.putpixel((70, 4), (0, 0, 0))
    assert frame_of(np.asarray(image)) == (33,) * 4


def dark(rng: np.random.Generator) -> np.ndarray:
    """A room with a dark ceiling."""
    room = PHOTO // 8
    room[:30] = 3
    return np.clip(room + rng.normal(0, 1.5, room.shape).round(), 0, 255).astype(np.uint8)


def sky(rng: np.random.Generator) -> np.ndarray:
    """Flat from the top on, but it darkens slowly."""
    photo = PHOTO.copy()
    photo[:60] = (220 - np.arange(60) // 2)[:, None, None]
    return photo


def page(rng: np.random.Generator) -> np.ndarray:
    """Letters on white paper."""
    image = Image.new("RGB", (200, 160), "white")
    ImageDraw.Draw(image).multiline_text((20, 20), "in black\nand white\n" * 5, "black")
    return np.asarray(image)


def portrait(rng: np.random.Generator) -> np.ndarray:
    """Before a black wall."""
    rows, columns = np.mgrid[:160, :200]
    person = ((rows - 120) / 80) ** 2 + ((columns - 100) / 60) ** 2 < 1
    return PHOTO * person[..., None].astype(np.uint8)


def code(rng: np.random.Generator) -> np.ndarray:
    """A QR code and its quiet zone, as a JPEG."""
    modules = np.pad(rng.integers(0, 2, (40, 50)) * 255, 5, constant_values=255)
    modules = modules.repeat(4, 0).repeat(4, 1)[20:180, :200].astype(np.uint8)
    modules[:12], modules[-12:] = 255, 255
    return as_jpeg(modules[..., None].repeat(3, 2), 90)


def bright_sky(rng: np.random.Generator) -> np.ndarray:
    """Burnt out, with a straight horizon, in noise."""
    photo = PHOTO // 3
    photo[:40] = 255
    return np.clip(photo + rng.normal(0, 6, photo.shape), 0, 255).astype(np.uint8)


def even(rng: np.random.Generator) -> np.ndarray:
    return np.full_like(PHOTO, 200)


@pytest.mark.parametrize("make", [dark, sky, page, portrait, code, bright_sky, even])
def test_flat_parts_of_a_photograph_are_no_frame(make: object) -> None:
    rows, _ = inside(make(np.random.default_rng(0)))  # type: ignore[operator]
    assert rows == slice(0, 160)


def test_a_small_picture_is_not_taken_out_of_its_frame() -> None:
    assert frame_of(framed((9,) * 4, (0, 0, 0), PHOTO[:LEAST, :LEAST])) == (9,) * 4
    assert frame_of(framed((4,) * 4, (0, 0, 0), PHOTO[: LEAST - 1, :60])) == (4, 0, 4, 0)
    for size in ((1, 1), (1, 9), (2, 200), (7, 5)):
        assert frame_of(np.zeros((*size, 3), np.uint8)) == (0, 0, 0, 0)


def test_short_lines_show_no_frame() -> None:
    """Any pixels are of one colour where there are so few."""
    for seed in range(20):
        strip = np.random.default_rng(seed).integers(0, 256, (1, 300, 3), np.uint8)
        assert frame_of(strip) == (0, 0, 0, 0)
        assert frame_of(strip.swapaxes(0, 1)) == (0, 0, 0, 0)
    for length in (LEAST - 1, LEAST):
        depth = 9 * (length == LEAST)
        assert frame_of(framed((0, 9, 0, 9), (0, 0, 0), PHOTO[:, :length])) == (0, depth, 0, depth)


class Blurs(nn.Module):
    """A stand-in for a network: means over 7 x 7 pixels, brighter or darker."""

    def __init__(self, brightness: float = 1.0) -> None:
        super().__init__()
        self.config = preset("tiny")
        self.judge = self.finish = None
        self.brightness = brightness

    def forward(self, image: Tensor) -> Restoration:
        smooth = F.avg_pool2d(F.pad(image, (3, 3, 3, 3), "reflect"), 7, 1)
        return Restoration(self.brightness * smooth - image, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_only_what_is_inside_is_restored(strength: float) -> None:
    engine = Engine(Blurs(), device="cpu", precision="fp32", tile=64)  # type: ignore[arg-type]
    pixels = framed((10, 30, 20, 5), (0, 0, 0))
    before = pixels.copy()
    restored, report = engine.restore(pixels, strength=strength)
    alone, of_it = engine.restore(PHOTO, strength=strength)
    np.testing.assert_array_equal(restored, framed((10, 30, 20, 5), (0, 0, 0), alone))
    np.testing.assert_array_equal(pixels, before)
    whole = np.sqrt(np.square(restored.astype(float) - pixels).mean())
    assert report.change == pytest.approx(whole, rel=1e-4)
    assert (report.tiles, report.tile) == (of_it.tiles, of_it.tile)
