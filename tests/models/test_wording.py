"""Messages about wrong values and missing files."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.wording import choices, no_such, numbers, shown


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (numbers(), "a number"),
        (numbers(0, 1), "a number from 0 to 1"),
        (numbers(0.000001), "a number from 0.000001 up"),
        (numbers(1, 4096, whole=True), "a whole number from 1 to 4096"),
        (numbers(0, whole=True), "a whole number from 0 up"),
        (numbers(above=0), "a number above 0"),
        (numbers(above=0, high=100.0), "a number above 0, up to 100"),
        (choices(["small"]), "small"),
        (choices([1, 2, 3]), "1, 2 or 3"),
        (shown(300.0), "300"),
        (shown("a" * 100), "'" + "a" * 56 + "..."),
    ],
)
def test_what_is_allowed_is_said_in_words(words: str, expected: str) -> None:
    assert words == expected


def test_a_missing_path_and_one_of_another_kind_are_told_apart(tmp_path: Path) -> None:
    file, absent = tmp_path / "a.txt", tmp_path / "b"
    file.touch()
    assert no_such(absent, "folder") == f"{absent}: no such folder; check the path"
    link = tmp_path / "c"
    link.symlink_to(absent)
    assert no_such(link, "folder") == f"{link}: a link that leads nowhere; check the path"
    assert no_such(file, "folder") == f"{file}: a file, not a folder; check the path"
    assert no_such(tmp_path, "file", "try b") == f"{tmp_path}: a folder, not a file; try b"
