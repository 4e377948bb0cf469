"""Bands of rows."""

from __future__ import annotations

import pytest

from baryir_cli.bands import PIXELS, bands


@pytest.mark.parametrize("multiple", [1, 4])
@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (3000, 4000), (4001, 2999), (64, 150_000), (64, 1_000_000)]
)
def test_bands_cover_all_rows_and_are_equally_large_for_every_width(
    height: int, width: int, multiple: int
) -> None:
    found = list(bands(height, width, multiple))
    assert [row for rows in found for row in range(rows.start, rows.stop)] == [*range(height)]
    assert all(rows.start % multiple == 0 for rows in found)
    assert max(rows.stop - rows.start for rows in found) <= max(PIXELS // width, multiple)


def test_nothing_has_no_bands() -> None:
    assert list(bands(0, 9)) == []
