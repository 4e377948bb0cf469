"""A photograph goes on where it must not be seen."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from baryir_cli.engine import continuation
from baryir_cli.engine.continuation import continued


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
    noisy = np.random.default_rng(0).normal(120, 25, (90, 120, 3)).clip(0, 255).astype(np.uint8)
    hidden = np.zeros((90, 120), bool)
    hidden[:30], hidden[:, 80:] = True, True
    filled = continued(np.where(hidden[..., None], np.uint8(0), noisy), hidden)
    np.testing.assert_array_equal(filled[~hidden], noisy[~hidden])
    seen, unseen = (filled[where].std() for where in (~hidden, hidden))
    assert unseen == pytest.approx(seen, rel=0.1)


def test_a_large_photograph_is_mirrored_within_a_few_pixels_of_its_edge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is hidden is a slanted half of a ramp; each pixel shows how far off its copy was."""
    rows, columns = np.mgrid[:200, :300]
    pixels = np.dstack([rows, columns, rows]).astype(np.uint16)
    hidden = columns > 150 + rows // 4
    exact = continued(pixels, hidden)
    monkeypatch.setattr(continuation, "SEARCHED", 200 * 300 // 9)
    nearly = continued(pixels, hidden)
    np.testing.assert_array_equal(nearly[~hidden], pixels[~hidden])
    assert not hidden[nearly[..., 0], nearly[..., 1]].any(), "only what is visible is copied"
    off = np.abs(nearly.astype(int) - exact)[hidden]
    assert 0 < np.median(off) < 9


def test_what_is_thinner_than_a_cell_is_continued_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuation, "SEARCHED", 100)
    pixels, hidden = np.zeros((70, 90, 3), np.uint8), np.ones((70, 90), bool)
    pixels[33], hidden[33] = 7, False
    assert (continued(pixels, hidden) == 7).all()
