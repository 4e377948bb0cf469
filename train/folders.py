"""Folders of training images: what is in them, which files are pairs, what is held out."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
COMPARISON = ".compare.jpg"
"""What ``--compare`` adds to a name: two pictures side by side, which are no photograph."""

RAIN = r"^(no)?rain-"
"""What Rain100L puts before the numbers of its pairs."""

DRAWN = ("samples", "curves.png")
"""Pictures that a training run makes in its folder."""

PairOfFiles = tuple[Path, Path]
"""A degraded image and its target."""
PairOfFolders = tuple[Path, Path]
"""Of degraded images and of their targets."""


class SourceError(ValueError):
    """A source has no data or its files do not pair; the message names the folder."""

    def __init__(self, message: str) -> None:
        # A loader's worker wraps it in a traceback, of which people need the last line.
        super().__init__(message.rsplit("SourceError: ", 1)[-1].strip())


def image_files(folder: Path) -> list[Path]:
    """Image files of a folder, by name; hidden ones are left alone.

    Raises:
        SourceError: there is no such folder, or it cannot be read.
    """
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise SourceError(f"{folder}: {(error.strerror or str(error)).lower()}") from None
    return [folder / name for name in names if _is_image(name)]


def photographs(folders: Iterable[Path]) -> list[Path]:
    """Image files of folders and of the folders inside them, each once, in a fixed order.

    Raises:
        SourceError: a folder is not there or holds no images.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        inside = images_below(folder)
        if not inside:
            image_files(folder)  # raises where there is none
            raise SourceError(f"no images in {folder}")
        for path in inside:
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def images_below(folder: Path) -> list[Path]:
    """Image files of a folder and of the folders inside it, in a fixed order.

    What a training run drew into its own folder is left out: it is no photograph.
    """
    found: list[Path] = []
    seen = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        # Data sets are often linked to; a link to a folder above it would never end.
        seen.add(os.path.realpath(parent))
        folders[:] = sorted(
            f
            for f in folders
            if not f.startswith(".") and os.path.realpath(os.path.join(parent, f)) not in seen
        )
        if {"recipe.json", "log.jsonl"} <= set(names):
            folders[:] = [f for f in folders if f not in DRAWN]
            names = [name for name in names if name not in DRAWN]
        found += [Path(parent) / name for name in sorted(names) if _is_image(name)]
    return found


def _is_image(name: str) -> bool:
    return not is_left_out(name) and Path(name).suffix.lower() in SUFFIXES


def is_left_out(name: str) -> bool:
    """Whether a file is no photograph of its folder, by its name: hidden, or a comparison."""
    return name.startswith(".") or name.endswith(COMPARISON)


def find_folder(root: Path, *names: str) -> Path | None:
    """The folder below one by these names, whatever their case, ``_`` and ``-``."""
    for name in names:
        found = None
        if root.is_dir():
            inside = sorted(p for p in root.iterdir() if p.is_dir())
            found = next((p for p in inside if plain(p.name) == plain(name)), None)
        if found is None:
            return None
        root = found
    return root


def plain(name: str) -> str:
    """A name without its case, ``_`` and ``-``."""
    return name.lower().replace("_", "").replace("-", "")


@dataclass(frozen=True)
class Matches:
    """Pairs of two folders and, a sentence each, what stands in the way of more."""

    pairs: tuple[PairOfFiles, ...]
    problems: tuple[str, ...]


def match(degraded: Path, target: Path, strip: str = RAIN) -> Matches:
    """Pairs of two folders by name: the same stem, or ``X_...`` with ``X``, of which there may be
    several (haze of several densities over one photograph).

    Args:
        strip: regular expression for what is no part of a stem, in lower case.

    Raises:
        SourceError: a folder is not there or cannot be read.
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


def match_pairs(degraded: Path, target: Path) -> list[PairOfFiles]:
    """The pairs of two folders, all of them.

    Raises:
        SourceError: a file of either folder has no partner, two targets have one name, or there
            are no pairs.
    """
    matches = match(degraded, target)
    if matches.problems:
        raise SourceError(matches.problems[0])
    return list(matches.pairs)


def photograph(path: Path) -> str:
    """The name that an undegraded photograph goes by, in whatever folder and format."""
    return re.sub(RAIN, "", path.stem.lower())


def hold_out(names: Sequence[str], share: float) -> set[str]:
    """About that share of the names, one at least: those whose hashes are the smallest.

    Whether a photograph is held out does not depend on which others there are (but for the one).

    Raises:
        SourceError: with fewer than two names, nothing would be left to train on.
    """
    if len(set(names)) < 2:
        raise SourceError(
            "one photograph is too few to hold any out for validation; --holdout 0 trains on it"
        )
    place = {name: _place(name) for name in names}
    return {name for name in names if place[name] < share} or {min(names, key=place.__getitem__)}


def _place(name: str) -> float:
    """A number in [0, 1) that only the name decides."""
    # Names of files need not be Unicode.
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
