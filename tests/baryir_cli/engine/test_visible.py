"""What transparency hides stays as it is, and does not mislead the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

from baryir_cli import Restorer
from baryir_cli.engine.visible import hidden_in, restore_visible
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


class Adds:
    """An engine that adds 9, and keeps what it saw."""

    def restore(self, pixels: np.ndarray, **_: Any) -> tuple[np.ndarray, Report]:
        self.seen = pixels
        return pixels + np.uint8(9), Report()


def test_the_change_is_that_of_the_whole_image() -> None:
    pixels, alpha = noisy() // 2, np.where(HIDDEN, 0, 255)
    _, report = restore_visible(Adds(), pixels, alpha, 1.0)  # type: ignore[arg-type]
    assert report.change == pytest.approx(9 * (~HIDDEN).mean() ** 0.5)


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
