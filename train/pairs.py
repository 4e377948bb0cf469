"""Folders found by name, and pairs of files found by theirs. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
RAIN = r"^(no)?rain-"
"""What Rain100L puts before the numbers of its pairs."""

Pair = tuple[Path, Path]


class SourceError(ValueError):
    """A source has no data or its files do not pair; the message names the folder."""


def image_files(folder: Path) -> list[Path]:
    """Image files of a folder, by name."""
    return sorted(
        p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")
    )


def find_folder(root: Path, *names: str) -> Path | None:
    """The subfolder of that name, whatever its case and its ``_`` and ``-``."""

    def plain(name: str) -> str:
        return name.lower().replace("_", "").replace("-", "")

    for name in names:
        found = None
        if root.is_dir():
            found = next(
                (p for p in root.iterdir() if p.is_dir() and plain(p.name) == plain(name)), None
            )
        if found is None:
            return None
        root = found
    return root


@dataclass(frozen=True)
class Matches:
    """Pairs of two folders and, a sentence each, what stands in the way of more."""

    pairs: tuple[Pair, ...]
    problems: tuple[str, ...]


def match(degraded: Path, target: Path, strip: str = RAIN) -> Matches:
    """Pairs of two folders by name: the same stem, or ``X_...`` with ``X``, of which there may be
    several (haze of several densities over one photograph).

    Args:
        strip: regular expression for what is no part of a stem, in lower case.
    """

    def key(path: Path) -> str:
        return re.sub(strip, "", path.stem.lower())

    problems = []
    targets: dict[str, Path] = {}
    for path in image_files(target):
        if key(path) in targets:
            problems.append(f"{path} and {targets[key(path)].name} have one name")
        targets.setdefault(key(path), path)
    pairs = []
    for path in image_files(degraded):
        partner = targets.get(key(path)) or targets.get(key(path).split("_")[0])
        if partner is None:
            problems.append(f"{path} has no partner in {target}")
        else:
            pairs.append((path, partner))
    used = {partner for _, partner in pairs}
    problems += [
        f"{path} has no partner in {degraded}" for path in targets.values() if path not in used
    ]
    if not pairs and not problems:
        problems.append(f"no images in {degraded}")
    return Matches(tuple(pairs), tuple(problems))


def match_pairs(degraded: Path, target: Path) -> list[Pair]:
    """The pairs of two folders, all of them.

    Raises:
        SourceError: a file of either folder has no partner, two targets have one name, or there
            are no pairs.
    """
    matches = match(degraded, target)
    if matches.problems:
        raise SourceError(matches.problems[0])
    return list(matches.pairs)
