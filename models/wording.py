"""The wording of messages about wrong values and missing files, the same in every package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def numbers(
    low: float | None = None,
    high: float | None = None,
    *,
    above: float | None = None,
    whole: bool = False,
) -> str:
    """The numbers that are allowed.

    >>> numbers(0, 1), numbers(1, whole=True), numbers(above=0, high=64)
    ('a number from 0 to 1', 'a whole number from 1 up', 'a number above 0, up to 64')
    """
    kind = "a whole number" if whole else "a number"
    if above is not None:
        most = "" if high is None else f", up to {_digits(high)}"
        return f"{kind} above {_digits(above)}{most}"
    if low is None:
        return kind
    return f"{kind} from {_digits(low)} " + ("up" if high is None else f"to {_digits(high)}")


def choices(allowed: Iterable[object]) -> str:
    """What is allowed, one by one.

    >>> choices(["png", "jpeg", "webp"])
    'png, jpeg or webp'
    """
    *first, last = map(str, allowed)
    return f"{', '.join(first)} or {last}" if first else last


def shown(value: object) -> str:
    """A value for a message, shortened: files may hold anything."""
    text = repr(value).removesuffix(".0") if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def no_such(path: Path, kind: str, way: str = "check the path") -> str:
    """Says that ``path`` is no ``kind`` (file, folder, file or folder), why, and what to do."""
    if path.exists():
        return f"{path}: a {'folder' if path.is_dir() else 'file'}, not a {kind}; {way}"
    if path.is_symlink():
        return f"{path}: a link that leads nowhere; {way}"
    return f"{path}: no such {kind}; {way}"


def _digits(number: float) -> str:
    return f"{number:f}".rstrip("0").rstrip(".") if isinstance(number, float) else str(number)
