"""How often the network goes over a photograph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baryir_cli.engine import Engine, passes
from models.network import Restoration
from models.presets import preset
from models.scene import FIELDS, SHADES

Colour = tuple[float, float, float]
Says = Callable[[float, float], bool]


class Judge(nn.Module):
    """A stand-in for a scene judge: an offset if ``says`` is true of mean red and blue."""

    def __init__(self, says: Says, offset: float) -> None:
        super().__init__()
        self.says, self.offset = says, offset

    def forward(self, picture: Tensor) -> Tensor:
        red, _, blue = picture.mean((0, 2, 3)).tolist()
        tone = torch.zeros(len(picture), FIELDS, SHADES, 1, 1)
        tone[:, :3] = self.offset * self.says(red, blue)
        return tone


class Peels(nn.Module):
    """A stand-in for a network: takes 0.2 from red above 0.55 or, with a tone, adds its offset."""

    def __init__(self, says: Says = lambda _, blue: blue < 0.45, offset: float = 0.2) -> None:
        super().__init__()
        self.config = replace(preset("tiny"), scene=16)
        self.judge = Judge(says, offset)
        self.finish: nn.Module | None = None
        self.nothing = nn.Parameter(torch.zeros(1))

    def with_tone(self, image: Tensor, tone: Tensor, _place: Tensor) -> Restoration:
        peeled = torch.zeros_like(image)
        peeled[:, 0] -= 0.2 * (image[:, 0] > 0.55)
        offset = tone[:, :3, 0].mean((2, 3))[..., None, None].expand_as(image)
        return Restoration(offset if tone.any() else peeled, None)  # type: ignore[arg-type]


def quartered(size: tuple[int, int], colour: Colour) -> np.ndarray:
    """A colour whose green differs from left to right, and whose blue from top to bottom."""
    pixels = np.full((*size, 3), colour, np.float32)
    rows, columns = np.indices(size)
    pixels[..., 1] += np.where(columns < size[1] / 2, -0.03, 0.03)
    pixels[..., 2] += np.where(rows < size[0] / 2, -0.03, 0.03)
    return pixels


@pytest.mark.parametrize("size", [(90, 170), (170, 90), (300, 40), (20, 20)])
@pytest.mark.parametrize(
    ("colour", "wanted", "count"),
    [
        (
            (0.5, 0.5, 0.6),
            (0.5, 0.5, 0.6),
            1,
        ),  # nothing wrong: one pass
        ((0.5, 0.5, 0.3), (0.7, 0.7, 0.5), 1),  # dark: the same
        ((0.7, 0.5, 0.6), (0.5, 0.5, 0.6), 1),  # something wrong: one without the judge
        ((0.7, 0.5, 0.3), (0.7, 0.7, 0.5), 2),  # and dark as well: a second, with the judge
        ((0.9, 0.5, 0.3), (0.7, 0.7, 0.5), 3),  # two things wrong, and dark
        ((1.0, 0.5, 0.6), (0.6, 0.5, 0.6), 2),  # at most two without the judge
    ],
)
def test_passes_go_on_until_little_is_wrong(
    size: tuple[int, int], colour: Colour, wanted: Colour, count: int
) -> None:
    shares: list[float] = []
    pixels = quartered(size, colour)
    engine = Engine(Peels(), precision="fp32", tile=50, overlap=10)  # type: ignore[arg-type]
    restored, report = engine.restore(pixels, progress=shares.append)
    assert report.passes == report.to_dict()["passes"] == count
    np.testing.assert_allclose(restored, quartered(size, wanted), atol=1e-5)
    np.testing.assert_array_equal(pixels, quartered(size, colour))
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize(
    ("colour", "toned", "kept"),
    [
        ((0.5, 0.5, 0.6), (0.5, 0.5, 0.6), (0.5, 0.5, 0.6)),
        ((0.5, 0.5, 0.3), (0.7, 0.7, 0.5), (0.5, 0.5, 0.3)),
        ((0.7, 0.5, 0.3), (0.7, 0.7, 0.5), (0.5, 0.5, 0.3)),
    ],
)
def test_tones_are_kept_if_asked_for(colour: Colour, toned: Colour, kept: Colour) -> None:
    """What else is wrong is mended all the same."""
    pixels = quartered((40, 60), colour)
    for keep_tones, wanted in ((False, toned), (True, kept)):
        engine = Engine(Peels(), precision="fp32", keep_tones=keep_tones)  # type: ignore[arg-type]
        restored, report = engine.restore(pixels)
        np.testing.assert_allclose(restored, quartered((40, 60), wanted), atol=1e-5)
        assert report.toned == (wanted != kept)
        assert not engine.restore(pixels, strength=0)[1].toned


@pytest.mark.parametrize("says", [lambda red, _: red > 0.55, lambda red, _: red < 0.55])
def test_the_judge_must_say_the_same_before_and_after(says: Says) -> None:
    """What it says only of the degraded or only of the restored photograph is ignored."""
    engine = Engine(Peels(says), precision="fp32")  # type: ignore[arg-type]
    restored, report = engine.restore(quartered((40, 60), (0.7, 0.5, 0.3)))
    assert report.passes == 1
    np.testing.assert_allclose(restored, quartered((40, 60), (0.5, 0.5, 0.3)), atol=1e-5)


@pytest.mark.parametrize(
    ("steps", "colour", "wanted"),
    [
        (7, (0.5, 0.5, 0.3), (0.5, 0.5, 0.3)),  # slight: left out
        (10, (0.5, 0.5, 0.3), (0.5 + 10 / 255, 0.5 + 10 / 255, 0.3 + 10 / 255)),
        (13, (0.5, 0.5, 0.3), (0.5 + 13 / 255, 0.5 + 13 / 255, 0.3 + 13 / 255)),
        (10, (0.7, 0.5, 0.3), (0.5, 0.5, 0.3)),  # ignored where something is wrong
        (11, (0.7, 0.5, 0.3), (0.5, 0.5, 0.3)),
        (13, (0.7, 0.5, 0.3), (0.7 + 13 / 255, 0.5 + 13 / 255, 0.3 + 13 / 255)),  # in doubt
    ],
)
def test_slight_tones_are_left_out(steps: int, colour: Colour, wanted: Colour) -> None:
    engine = Engine(Peels(offset=steps / 255), precision="fp32")  # type: ignore[arg-type]
    restored, report = engine.restore(quartered((40, 60), colour))
    assert report.passes == 1
    np.testing.assert_allclose(restored, quartered((40, 60), wanted), atol=1e-5)


def textured(colour: Colour, variety: Colour) -> np.ndarray:
    """``colour`` in shades, with noise of each channel's own."""
    rng = np.random.default_rng(0)
    shared = rng.uniform(-0.1, 0.1, (8, 12, 1)).repeat(5, 0).repeat(5, 1)
    own = rng.uniform(-1, 1, (40, 60, 3))
    return np.float32(np.array(colour) * (1 + shared) + own * np.array(variety))


@pytest.mark.parametrize(
    ("colour", "variety", "applied"),
    [
        ((0.3, 0.3, 0.3), (0, 0, 0), False),  # grey
        ((0.31, 0.3, 0.28), (0, 0, 0), False),  # toned
        ((0.3, 0.3, 0.3), (0.0003, 0, 0.0003), False),  # nearly grey, as scans are
        ((0.3, 0.3, 0.3), (0.02, 0.02, 0.02), True),  # pale colours: not judged twice
    ],
)
def test_what_the_judge_finds_in_grey_it_must_find_in_a_print(
    colour: Colour, variety: Colour, applied: bool
) -> None:
    """A print is blue; in this one the judge finds nothing."""
    pixels = textured(colour, variety)
    engine = Engine(Peels(lambda _, blue: blue < 0.32), precision="fp32")  # type: ignore[arg-type]
    restored, _ = engine.restore(pixels)
    np.testing.assert_allclose(restored, pixels + 0.2 * applied, atol=1e-5)


def test_grey_that_is_dark_in_a_print_too_is_brightened() -> None:
    pixels = textured((0.3, 0.3, 0.3), (0, 0, 0))
    engine = Engine(Peels(lambda _, blue: blue < 0.45), precision="fp32")  # type: ignore[arg-type]
    restored, _ = engine.restore(pixels)
    np.testing.assert_allclose(restored, pixels + 0.2, atol=1e-5)


def test_hazy_colours_do_not_count_as_black_and_white() -> None:
    """Haze weakens colours and brightness alike."""
    colours = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert not passes.is_colourless(0.05 * colours + 0.8)
    assert passes.is_colourless(0.05 * colours.mean(1, keepdim=True).expand(-1, 3, -1, -1) + 0.8)
    assert not passes.is_colourless(torch.full((1, 3, 64, 64), 0.5))


@pytest.mark.parametrize(("contrast", "wanted"), [(0.004, 0.1), (0.03, 0.3)])
def test_a_blank_frame_stays_as_it_is(contrast: float, wanted: float) -> None:
    """A judge cannot tell darkness where there is nothing to see."""
    halves = np.where(np.arange(60) < 30, -contrast, contrast)[None, :, None].repeat(40, 0)
    pixels = (np.array((0.1, 0.1, 0.1)) + halves * (1, 0, -1)).astype(np.float32)
    engine = Engine(Peels(), precision="fp32")  # type: ignore[arg-type]
    assert engine.restore(pixels)[0].mean() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("period", [2, 3, 8])
@pytest.mark.parametrize(("contrast", "toned"), [(0.25, False), (0.05, True)])
def test_engravings_keep_their_tones(period: int, contrast: float, toned: bool) -> None:
    """Where dark and light lie side by side, there is neither haze nor darkness."""
    lines = np.where(np.arange(60) % period < period / 2, contrast, -contrast)
    pixels = quartered((40, 60), (0.27, 0.4, 0.3)) + lines.astype(np.float32)[None, :, None]
    engine = Engine(Peels(), precision="fp32")  # type: ignore[arg-type]
    _, report = engine.restore(pixels)
    assert report.toned == toned


@pytest.mark.parametrize(("spread", "patterned"), [(41, False), (55, True)])
def test_a_pattern_has_much_spread_in_three_of_four_blocks(spread: int, patterned: bool) -> None:
    squares = torch.full((4, 3, 64, 64), 0.4)
    squares[..., ::2] += spread / 255
    assert passes.is_patterned(squares) == patterned
    squares[:2] = 0.4
    assert not passes.is_patterned(squares), "half of it is even"


def test_what_is_smaller_than_a_block_is_no_pattern() -> None:
    squares = torch.zeros(1, 3, passes.BLOCK - 1, 40)
    squares[..., ::2] = 1
    assert not passes.is_patterned(squares)


class Smooths(Peels):
    """Takes away what is finer than 8 pixels, or adds a tone."""

    def with_tone(self, image: Tensor, tone: Tensor, place: Tensor) -> Restoration:
        if tone.any():
            return super().with_tone(image, tone, place)
        wide = nn.functional.pad(image, (4, 3, 4, 3), "reflect")
        return Restoration(nn.functional.avg_pool2d(wide, 8, 1) - image, None)  # type: ignore[arg-type]


def test_noise_that_the_network_removes_is_no_pattern() -> None:
    lines = np.where(np.arange(60) % 2, 0.25, -0.25).astype(np.float32)[None, :, None]
    pixels = quartered((40, 60), (0.5, 0.4, 0.3))
    engine = Engine(Smooths(), precision="fp32")  # type: ignore[arg-type]
    restored, report = engine.restore(pixels + lines)
    assert report.toned
    assert restored.mean() == pytest.approx(pixels.mean() + 0.2, abs=0.01)


def test_strength_applies_to_all_passes_together() -> None:
    engine = Engine(Peels(), precision="fp32")  # type: ignore[arg-type]
    half, _ = engine.restore(quartered((40, 60), (0.9, 0.5, 0.3)), strength=0.5)
    np.testing.assert_allclose(half, quartered((40, 60), (0.8, 0.6, 0.4)), atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (127, 900), (256, 255), (4000, 6000)])
def test_samples_lie_inside_and_are_alike(size: tuple[int, int]) -> None:
    boxes = passes.samples(*size)
    shapes = {(bottom - top, right - left) for top, left, bottom, right in boxes}
    assert shapes == {(min(size[0], passes.SIDE), min(size[1], passes.SIDE))}
    assert (
        len(set(boxes)) == len(boxes) == (2 if size[0] >= 256 else 1) * (2 if size[1] >= 256 else 1)
    )
    for top, left, bottom, right in boxes:
        assert 0 <= top < bottom <= size[0]
        assert 0 <= left < right <= size[1]


def test_the_change_by_a_tone_is_a_root_mean_square() -> None:
    picture = torch.full((1, 3, 16, 16), 0.5)
    tone = torch.zeros(1, FIELDS, SHADES, 1, 1)
    tone[:, 3:] = 0.3
    tone[:, 0] = 0.1
    assert passes.change_by(tone, picture) == pytest.approx(((0.25**2 + 2 * 0.15**2) / 3) ** 0.5)


def test_in_doubt_there_is_one_pass() -> None:
    engine = Engine(Peels(offset=0.1), precision="fp32")  # type: ignore[arg-type]
    restored, report = engine.restore(quartered((40, 60), (0.7, 0.5, 0.3)))
    assert report.passes == 1
    np.testing.assert_allclose(restored, quartered((40, 60), (0.8, 0.6, 0.4)), atol=1e-5)
