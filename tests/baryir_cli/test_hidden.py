"""What transparency hides stays as it is, and does not mislead the network."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

from baryir_cli import Restorer
from baryir_cli.hidden import continued, hidden_in
from baryir_cli.metrics.psnr import psnr
from baryir_cli.report import Report
from tests.conftest import Run

ROWS, COLUMNS = np.mgrid[:90, :120]
HIDDEN = (abs(ROWS - 45) > 15) & (abs(COLUMNS - 60) > 20)
"""A cross is visible. The engine finds convex photographs without their alpha."""
CLEAN = skimage.data.astronaut()[30:120, 150:270]


def noisy() -> np.ndarray:
    """A noisy photograph, black where it is hidden."""
    pixels = CLEAN + np.random.default_rng(0).normal(0, 25, CLEAN.shape)
    pixels[HIDDEN] = 0
    return pixels.clip(0, 255).astype(np.uint8)


def cut_out() -> np.ndarray:
    """The same with its alpha."""
    return np.dstack([noisy(), np.where(HIDDEN, 0, 255).astype(np.uint8)])


def test_pixels_are_hidden_where_alpha_is_zero() -> None:
    assert hidden_in(None) is None
    assert hidden_in(np.zeros((3, 4), np.uint16)) is None, "nothing to continue"
    assert hidden_in(np.ones((3, 4), np.uint8)) is None
    hidden = hidden_in(np.array([[0, 1], [255, 0]], np.uint8))
    assert hidden is not None
    assert hidden.tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_photograph_is_mirrored_at_the_edge_of_what_is_hidden(dtype: type) -> None:
    pixels = np.arange(8 * 10 * 3).reshape(8, 10, 3).astype(dtype)
    hidden = np.zeros((8, 10), bool)
    hidden[:, 6:] = True
    expected = pixels.copy()
    expected[:, 6:] = pixels[:, [4, 3, 2, 1]]
    np.testing.assert_array_equal(continued(pixels, hidden), expected)


@pytest.mark.parametrize("size", [(1, 2), (3, 1), (2, 2), (130, 3)])
def test_little_that_is_visible_is_repeated(size: tuple[int, int]) -> None:
    pixels = np.zeros((*size, 3), np.uint8)
    hidden = np.ones(size, bool)
    pixels[-1, -1], hidden[-1, -1] = 7, False
    assert (continued(pixels, hidden) == 7).all()


def test_a_wide_photograph_takes_no_more_memory_than_a_tall_one() -> None:
    peaks = []
    for size in ((64, 40_000), (40_000, 64)):
        pixels, hidden = np.zeros((*size, 3), np.uint8), np.zeros(size, bool)
        hidden[::2] = True
        tracemalloc.start()
        continued(pixels, hidden)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < 1.2 * peaks[1]


def test_noise_goes_on_where_a_photograph_is_hidden() -> None:
    filled = continued(noisy(), HIDDEN)
    np.testing.assert_array_equal(filled[~HIDDEN], noisy()[~HIDDEN])
    spread = np.abs(np.diff(filled.astype(float), axis=1))[HIDDEN[:, 1:]].mean()
    assert spread == pytest.approx(
        np.abs(np.diff(noisy().astype(float), axis=1))[~HIDDEN[:, 1:]].mean(), rel=0.2
    )


class Adds:
    """An engine that adds 9, and keeps what it saw."""

    def restore(self, pixels: np.ndarray, **_: Any) -> tuple[np.ndarray, Report]:
        self.seen = pixels
        return pixels + np.uint8(9), Report()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_hidden_stays_as_it_is(mode: str) -> None:
    engine = Adds()
    image = Image.fromarray(np.minimum(cut_out(), [240, 240, 240, 255]).astype(np.uint8), "RGBA")
    restorer = Restorer(engine, "")  # type: ignore[arg-type]
    before = image.convert(mode)
    after = np.asarray(restorer.restore(before).convert("RGBA")).astype(int)
    assert (engine.seen[HIDDEN] > 0).mean() > 0.9
    change = after - np.asarray(before.convert("RGBA"))
    assert np.abs(change[HIDDEN]).max() == 0
    assert (change[~HIDDEN][:, :3] == 9).all()


def test_a_cut_out_is_restored_like_the_whole(baryir: Run, tmp_path: Path) -> None:
    Image.fromarray(cut_out()).save(tmp_path / "a.png")
    options = ("--weights", "small", "--device", "cpu", "--precision", "fp32")
    assert baryir("restore", tmp_path / "a.png", tmp_path / "b.png", *options) == 0
    with Image.open(tmp_path / "b.png") as image:
        after = np.asarray(image)
    np.testing.assert_array_equal(after[HIDDEN], cut_out()[HIDDEN])
    restorer = Restorer.from_weights("small", device="cpu", precision="fp32")
    without = restorer.restore(noisy())
    seen, misled = (
        psnr(found[~HIDDEN][None, :, :3], CLEAN[~HIDDEN][None]) for found in (after, without)
    )
    assert seen > misled + 1.5
    np.testing.assert_array_equal(restorer.restore(cut_out()), after)
