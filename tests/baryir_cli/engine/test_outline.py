"""Photographs of any convex outline on a flat ground."""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw
from torch import Tensor

from baryir_cli.engine import Engine
from baryir_cli.engine.capacity import Capacity
from baryir_cli.engine.outline import DEEP, MANY, _large_parts, from_edge, outlines
from baryir_cli.engine.regions import regions
from baryir_cli.metrics.psnr import psnr
from models.network import Restoration
from tests.baryir_cli.engine.test_frame import Blurs, as_jpeg

PHOTO = skimage.data.chelsea()[30:270, 80:380]
HEIGHT, WIDTH = PHOTO.shape[:2]
WHITE, BLACK, GREY = (255, 255, 255), (0, 0, 0), (120, 124, 130)
Colour = tuple[int, int, int]


def slanted(angle: float = 3.0) -> np.ndarray:
    """Where a photograph lies that is turned, by degrees."""
    image = Image.new("L", (WIDTH, HEIGHT))
    ImageDraw.Draw(image).rectangle((20, 18, WIDTH - 21, HEIGHT - 19), 255)
    return np.asarray(image.rotate(angle)) > 0


def oval() -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return ((rows - HEIGHT / 2) / 110) ** 2 + ((columns - WIDTH / 2) / 140) ** 2 < 1


def small_ones() -> np.ndarray:
    """Two on a page."""
    found = np.zeros((HEIGHT, WIDTH), bool)
    found[90:150, 40:120] = found[80:180, 160:260] = True
    return found


def on(colour: Colour, where: np.ndarray, photo: np.ndarray = PHOTO) -> np.ndarray:
    return np.where(where[..., None], photo, np.uint8(colour))


def ground(pixels: np.ndarray) -> np.ndarray | None:
    """What lies around the photographs; None if there is no ground."""
    around = np.ones(pixels.shape[:2], bool)
    for outline in outlines(pixels):
        around[outline.window] &= ~outline.part
    return None if around.all() else around


OUTLINES = {"slanted": slanted(), "upside down": slanted(40), "oval": oval(), "two": small_ones()}


@pytest.mark.parametrize("name", OUTLINES)
@pytest.mark.parametrize("colour", [WHITE, BLACK, GREY])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_what_lies_around_photographs_is_found(name: str, colour: Colour, dtype: type) -> None:
    scale = np.float64({np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[dtype])
    around = ground((on(colour, OUTLINES[name]) * scale).astype(dtype))
    assert around is not None
    assert (around != ~OUTLINES[name]).mean() < 0.002


@pytest.mark.parametrize("quality", [85, 95])
def test_it_is_found_in_a_jpeg_with_noise_writing_and_dust(quality: int) -> None:
    noisy = PHOTO + np.random.default_rng(0).normal(0, 25, PHOTO.shape)
    for colour in (WHITE, BLACK):
        page = Image.fromarray(on(colour, slanted(20), noisy.clip(0, 255).astype(np.uint8)))
        ImageDraw.Draw(page).text((2, 215), "1969", GREY)
        page.putpixel((290, 30), GREY)
        around = ground(as_jpeg(np.asarray(page), quality))
        assert around is not None
        assert around[215:230, 0:25].all(), "what is written belongs to the page"
        assert not around[slanted(20)].any()
        assert around.mean() > (~slanted(20)).mean() - 0.07, "all but the edges' ringing"


def skyline(rng: np.random.Generator) -> np.ndarray:
    """Black at night, as the street is."""
    tops = np.tile([50, 100], 5).repeat(30) + rng.integers(0, 30, WIDTH)
    rows = np.mgrid[:HEIGHT, :WIDTH][0]
    return on(BLACK, (rows > tops) & (rows < 220))


def vignette(rng: np.random.Generator) -> np.ndarray:
    """Dark towards the corners."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    light = 1 - ((rows - 120) / 130) ** 2 - ((columns - 150) / 160) ** 2
    return (PHOTO * light.clip(0, 1)[..., None]).astype(np.uint8)


def letters(rng: np.random.Generator) -> np.ndarray:
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    ImageDraw.Draw(image).multiline_text(
        (40, 40), "in black\nand white\n" * 5, "black", font_size=20
    )
    return np.asarray(image)


def drawing(rng: np.random.Generator) -> np.ndarray:
    """A circle, mostly of paper."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    ImageDraw.Draw(image).ellipse((50, 20, 250, 220), outline="black", width=3)
    ImageDraw.Draw(image).line((50, 120, 250, 120), "black", 3)
    return np.asarray(image)


def grainy(rng: np.random.Generator) -> np.ndarray:
    scan = on(GREY, slanted()) + rng.normal(0, 8, PHOTO.shape)
    return scan.clip(0, 255).astype(np.uint8)


def photograph(rng: np.random.Generator) -> np.ndarray:
    return PHOTO


def even(rng: np.random.Generator) -> np.ndarray:
    return np.full_like(PHOTO, 200)


@pytest.mark.parametrize(
    "make",
    [skyline, vignette, letters, drawing, grainy, photograph, even],
    ids=lambda f: f.__name__,
)
def test_what_is_no_photograph_on_a_ground(make: object) -> None:
    assert ground(make(np.random.default_rng(0))) is None  # type: ignore[operator]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 200), (7, 5)])
def test_small_images_have_no_ground(size: tuple[int, int]) -> None:
    assert ground(np.zeros((*size, 3), np.uint8)) is None


def brightened(pixels: np.ndarray) -> np.ndarray:
    """By half, where there is a photograph."""
    engine = Engine(Blurs(1.5), device="cpu", precision="fp32", tile=64)  # type: ignore[arg-type]
    return engine.restore(pixels)[0]


@pytest.mark.parametrize("name", OUTLINES)
def test_only_photographs_are_restored(name: str) -> None:
    """As they would be if nothing flat were around them, but for the last pixels."""
    pixels = on(WHITE, OUTLINES[name])
    before = pixels.copy()
    result = brightened(pixels)
    np.testing.assert_array_equal(pixels, before)
    around = ground(pixels)
    assert around is not None
    np.testing.assert_array_equal(result[around], pixels[around])
    whole = brightened(PHOTO)
    assert psnr(result[~around][None], whole[~around][None]) > 36


@pytest.mark.parametrize("colour", [WHITE, BLACK, GREY])
@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("shape", ["slanted", "frame"])
def test_a_soft_edge_stays_soft_and_has_no_halo(shape: str, sigma: float, colour: Colour) -> None:
    """Nearly as if the photograph had been brightened before it was laid on the ground."""
    clear = np.zeros((HEIGHT, WIDTH))
    clear[20:-20, 20:-20] = 1
    share = cv2.GaussianBlur(clear if shape == "frame" else slanted().astype(float), (0, 0), sigma)
    dark = PHOTO[..., :1] // 8 + np.uint8((20, 22, 24))

    def on_ground(photo: np.ndarray) -> np.ndarray:
        mixed = share[..., None] * photo + (1 - share[..., None]) * np.array(colour)
        return mixed.round().astype(np.uint8)

    result, expected = brightened(on_ground(dark)), on_ground(brightened(dark))
    off = np.abs(result.astype(int) - expected).max(2)
    assert off[share > 0.999].max() < 16
    assert off.max() < 90
    assert off.mean() < 2


@pytest.mark.parametrize("border", [5, 12])
def test_a_print_is_found_in_its_own_border(border: int) -> None:
    """Slanted, with softened edges, on grey."""
    size = (HEIGHT - 60, WIDTH - 60)
    print_ = np.pad(
        PHOTO[: size[0], : size[1]], ((border,) * 2,) * 2 + ((0, 0),), constant_values=245
    )
    inner = np.pad(np.full(size, 255, np.uint8), border)
    page = Image.new("RGB", (WIDTH, HEIGHT), GREY)
    where = Image.new("L", page.size)
    at = ((WIDTH - print_.shape[1]) // 2, (HEIGHT - print_.shape[0]) // 2)
    page.paste(Image.fromarray(print_), at)
    where.paste(Image.fromarray(inner), at)
    turned = page.rotate(4, Image.Resampling.BICUBIC, fillcolor=GREY)
    around = ground(np.asarray(turned))
    assert around is not None
    missed = around != (np.asarray(where.rotate(4, Image.Resampling.BICUBIC)) < 128)
    assert missed.mean() < 0.01


def test_photographs_on_a_page_are_restored_each_by_itself() -> None:
    class Counts(Blurs):
        sizes: ClassVar[list[tuple[int, ...]]] = []

        def forward(self, image: Tensor) -> Restoration:
            self.sizes.append(tuple(image.shape[2:]))
            return super().forward(image)

    network = Counts()
    engine = Engine(network, device="cpu", precision="fp32", tile=0)  # type: ignore[arg-type]
    shares: list[float] = []
    _, report = engine.restore(on(WHITE, small_ones()), progress=shares.append)
    assert report.photographs == report.tiles == len(network.sizes) == 2
    assert max(height * width for height, width in network.sizes) < HEIGHT * WIDTH / 3
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert engine.restore(PHOTO)[1].photographs == 1


def test_large_letters_and_a_dirty_corner_do_not_hide_a_photograph() -> None:
    page = Image.fromarray(on(WHITE, small_ones()))
    ImageDraw.Draw(page).text((90, 185), "Rome", GREY, font_size=45)
    page.putpixel((0, 0), GREY)
    around = ground(np.asarray(page))
    assert around is not None
    assert (around != ~small_ones()).mean() < 0.002


def test_the_change_is_that_of_the_whole_image() -> None:
    pixels = on(BLACK, oval())
    engine = Engine(Blurs(0.9), device="cpu", precision="fp32")  # type: ignore[arg-type]
    result, report = engine.restore(pixels, strength=0.5)
    change = np.sqrt(np.square(result.astype(float) - pixels).mean())
    assert report.change == pytest.approx(change, rel=1e-4)
    assert change > 1


def upright(share: float) -> np.ndarray:
    """A rectangle that takes this share of the image."""
    height, width = (round(side * share**0.5) for side in (HEIGHT, WIDTH))
    where = np.zeros((HEIGHT, WIDTH), bool)
    top, left = (HEIGHT - height) // 2, (WIDTH - width) // 2
    where[top : top + height, left : left + width] = True
    return where


PLAIN = (PHOTO * 0.1 + 20).astype(np.uint8)
"""A thing of nearly one tone."""


@pytest.mark.parametrize(
    ("where", "photo", "keep_tones"),
    [
        (slanted(), PHOTO // 4, False),
        (slanted(), PLAIN, True),
        (oval(), PHOTO // 4, True),
        (upright(0.5), PHOTO // 4, False),
        (upright(0.25), PHOTO // 4, True),
    ],
    ids=["dark print", "of one tone", "round", "half of the page", "a quarter of it"],
)
def test_tones_of_what_may_be_a_thing_are_kept(
    where: np.ndarray, photo: np.ndarray, keep_tones: bool
) -> None:
    (region,) = regions(on(WHITE, where, photo))
    assert region.pixels.size < 3 * HEIGHT * WIDTH
    assert region.keep_tones == keep_tones


@pytest.mark.parametrize(
    "colour", [(0, 0, 0), (30, 30, 30), (34, 34, 34), (128, 128, 128), (255, 255, 255)]
)
def test_tones_on_a_plain_ground_are_kept_unless_it_is_as_dark_as_night(
    colour: tuple[int, int, int],
) -> None:
    cross = upright(0.3) & ~np.roll(upright(0.3), (HEIGHT // 4, WIDTH // 4), (0, 1))
    (region,) = regions(on(colour, cross))
    assert region.covered is None
    assert region.keep_tones == (max(colour) > 32)


def test_tones_of_dark_photographs_are_not_kept() -> None:
    (region,) = regions(PHOTO // 40)
    assert not region.keep_tones


def test_many_icons_on_a_page_are_no_photographs() -> None:
    photo = cv2.resize(PHOTO, (40, 40))
    for columns, found in ((8, 32), (9, 0)):
        page = np.full((200, 450, 3), WHITE, np.uint8)
        for row, column in np.ndindex(4, columns):
            place = slice(10 + 48 * row, 50 + 48 * row), slice(10 + 48 * column, 50 + 48 * column)
            page[place] = photo
        assert len(outlines(page)) == found


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1])
def test_depths_are_distances_rounded_up(share: float) -> None:
    """In several bands, too."""
    part = np.random.default_rng(0).random((300, 5000)) >= share
    distance = cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    np.testing.assert_array_equal(from_edge(part), np.ceil(distance).clip(0, DEEP))


def test_of_very_many_parts_the_largest_are_looked_at() -> None:
    around = np.ones((1000, 900), bool)
    for row, column in np.ndindex(14, 20):
        around[2 + 40 * row : 36 + 40 * row, 2 + 40 * column : 36 + 40 * column] = False
    around[600:900, 100:800] = False
    found = list(_large_parts(around))
    assert len(found) == MANY + 1
    window, part = found[-1]
    assert window == (slice(599, 901), slice(99, 801))
    assert part.sum() == 300 * 700


def test_a_photograph_on_a_ground_has_smaller_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is held a second time."""
    monkeypatch.setattr(Capacity, "largest_tile", lambda _, held=0: 64 if held else 128)
    engine = Engine(Blurs(0.5), device="cpu", precision="fp32")  # type: ignore[arg-type]
    assert engine.restore(PHOTO)[1].tile[0] > 64
    on_ground = on(GREY, slanted())
    (region,) = regions(on_ground)
    assert region.held > region.pixels.nbytes > 0
    assert max(engine.restore(on_ground)[1].tile) <= 64
