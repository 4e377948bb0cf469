"""Tiles cover every pixel and their weights sum to one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from baryir_cli.engine.tiles import Axis, Tiling, even_axis

AXES = [
    (1, 64, 0),
    (5, 64, 16),
    (64, 64, 16),
    (65, 64, 16),
    (96, 32, 0),
    (100, 64, 63),
    (500, 64, 16),
    (512, 128, 64),
    (7, 3, 2),
]


@pytest.mark.parametrize(("length", "tile", "overlap"), AXES)
def test_weights_sum_to_one_everywhere(length: int, tile: int, overlap: int) -> None:
    axis = Axis(length, tile, overlap)
    total = np.zeros(length)
    for index, weight in enumerate(axis.weights()):
        assert (weight > 0).all()
        total[axis.span(index)] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)


@pytest.mark.parametrize(("length", "tile", "overlap"), AXES)
def test_neighbours_share_exactly_the_overlap(length: int, tile: int, overlap: int) -> None:
    axis = Axis(length, tile, overlap)
    spans = [axis.span(i) for i in range(len(axis.starts))]
    assert spans[0].start == 0
    assert spans[-1].stop == length
    for left, right in itertools.pairwise(spans[:-1]):
        assert left.stop - right.start == overlap
    for left, right in itertools.pairwise(spans):
        assert left.stop - left.start == tile
        assert left.start < right.start <= left.stop - overlap
    assert [s.start for s in spans] == axis.starts


@pytest.mark.parametrize("length", range(65, 600, 7))
@pytest.mark.parametrize(("tile", "overlap"), [(32, 8), (64, 8), (64, 32), (288, 4)])
def test_the_last_tile_is_not_thin_and_starts_on_the_grid(
    length: int, tile: int, overlap: int
) -> None:
    axis = Axis(length, tile, overlap, grid=16)
    last = axis.span(len(axis.starts) - 1)
    assert last.stop - last.start >= min(length, tile // 2)
    assert last.start % math.gcd(tile - overlap, 16) == 0


@pytest.mark.parametrize("length", range(800, 2000, 77))
@pytest.mark.parametrize("multiple", [8, 24, 64])
def test_every_tile_starts_on_the_networks_grid(length: int, multiple: int) -> None:
    tiling = Tiling(None, None, multiple, margin=0)
    for axis in tiling.axes(length, length, lambda: 5 * multiple):
        assert len(axis.starts) > 1
        assert not any(start % multiple for start in axis.starts)


def test_weights_fall_only_towards_inner_borders() -> None:
    first, second = Axis(100, 60, 20).weights()
    assert first[0] == 1
    assert (np.diff(first[-20:]) < 0).all()
    assert (np.diff(second[:20]) > 0).all()
    assert second[-1] == 1


@pytest.mark.parametrize(
    ("length", "tile", "overlap"), [(0, 8, 0), (8, 0, 0), (8, 8, 8), (8, 8, -1)]
)
def test_impossible_tilings_are_refused(length: int, tile: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="no tiling"):
        Axis(length, tile, overlap)


@pytest.mark.parametrize("length", [513, 1000, 1025, 5000])
def test_even_tiles_are_as_many_but_smaller(length: int) -> None:
    axis = even_axis(length, 512, 64, 16)
    assert axis.tile <= 512
    assert axis.tile % 16 == 0
    assert len(axis.starts) == len(Axis(length, 512, 64).starts)


@pytest.mark.parametrize("length", [1, 30, 512])
def test_a_length_that_fits_is_one_tile(length: int) -> None:
    assert even_axis(length, 512, 64, 16) == Axis(length, length, 0)


def test_even_tiles_waste_little() -> None:
    assert even_axis(520, 512, 64, 16).tile == 304


def test_an_image_with_no_more_pixels_than_a_tile_is_one() -> None:
    tiling, side = Tiling(None, None, multiple=8, margin=0), 256

    def most(height: int, width: int) -> int:
        return max(len(axis.starts) for axis in tiling.axes(height, width, lambda: side))

    longer = side * 5 // 4 // 8 * 8
    for size in [(side, side), (longer, side * side // longer // 8 * 8), (side // 2, 2 * side)]:
        assert most(*size) == 1
    # A line of pixels is padded, so the network sees more than there is.
    for size in [(side + 8, side + 8), (1, side * side)]:
        assert most(*size) > 1


def test_margins_count_towards_the_size_of_an_image() -> None:
    """With as many pixels, a longer image has a larger mirrored margin."""
    for margin, tiles in ((0, 1), (16, 3)):
        tiling = Tiling(None, None, multiple=8, margin=margin)
        assert len(tiling.axes(256, 256, lambda: 256)[1].starts) == 1
        assert len(tiling.axes(128, 512, lambda: 256)[1].starts) == tiles


def test_a_large_overlap_does_not_make_tiles_too_large() -> None:
    for overlap in (100, 1000, 5000):
        for axis in Tiling(None, overlap, multiple=8, margin=0).axes(2000, 2000, lambda: 256):
            assert axis.tile <= 256
            assert axis.overlap == min(overlap, 128)


@pytest.mark.parametrize("tile", [64, 80, 256, 1024])
def test_tiles_always_overlap(tile: int) -> None:
    for axis in Tiling(tile, None, multiple=8, margin=0).axes(2000, 2000, lambda: 64):
        assert 8 <= axis.overlap <= 32
