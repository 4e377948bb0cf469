"""Folders of training images: their files, their pairs, what is held out."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.formats import COMPARISON
from models.wording import no_such

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
"""Of the images that training reads."""

# Numbers before it, as in v1.2.compare.jpg, are no suffix.
_COMPARED = re.compile(r"\.(?i:[a-z][a-z0-9]{2,3})" + re.escape(COMPARISON) + "$")

RAIN = r"^(no)?rain-"
"""Rain100L's prefix before the numbers of its pairs."""

DRAWN = ("samples", "curves.png")
"""Pictures that a training run draws into its folder."""

PairOfFiles = tuple[Path, Path]
"""A degraded image and its target."""


class SourceError(ValueError):
    """A source has no data, or its files do not pair; the message names the folder."""

    def __init__(self, message: str) -> None:
        # A loader's worker wraps it in a traceback; only the last line helps people.
        super().__init__(message.rsplit("SourceError: ", 1)[-1].strip())


def image_files(folder: Path, suffixes: Container[str] = SUFFIXES) -> list[Path]:
    """Image files of a folder, by name, without hidden ones.

    Raises:
        SourceError: the folder does not exist or cannot be read.
    """
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(no_such(folder, "folder")) from None
    except OSError as error:
        raise SourceError(f"{folder}: {(error.strerror or str(error)).lower()}") from None
    return [folder / name for name in names if _is_image(name, suffixes)]


def photographs(folders: Iterable[Path]) -> list[Path]:
    """Image files of folders and their subfolders, each once, in a fixed order.

    Raises:
        SourceError: a folder does not exist or holds no images.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        inside = images_below(folder)
        if not inside:
            image_files(folder)  # raises if there is no folder
            raise SourceError(f"no images in {folder}")
        for path in inside:
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def images_below(folder: Path) -> list[Path]:
    """Image files of a folder and its subfolders, in a fixed order.

    Leaves out what a training run drew into its own folder: those are not photographs.
    """
    found: list[Path] = []
    seen = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        # Follow links, as data sets are often linked; but a link to a parent would never end.
        seen.add(os.path.realpath(parent))
        folders[:] = sorted(
            f
            for f in folders
            if not f.startswith(".") and os.path.realpath(os.path.join(parent, f)) not in seen
        )
        if {"recipe.json", "log.jsonl"} <= set(names):
            folders[:] = [f for f in folders if f not in DRAWN]
            names = [name for name in names if name not in DRAWN]
        found += [Path(parent) / name for name in sorted(names) if _is_image(name, SUFFIXES)]
    return found


def _is_image(name: str, suffixes: Container[str]) -> bool:
    return not is_left_out(name) and Path(name).suffix.lower() in suffixes


def is_left_out(name: str) -> bool:
    """Whether a file's name says that it is hidden or a comparison, ``NAME.EXT.compare.jpg``."""
    return name.startswith(".") or bool(_COMPARED.search(name))


def find_folder(root: Path, *names: str) -> Path | None:
    """The nested folder ``root/name/...``, ignoring case, ``_``, ``-`` and spaces in names."""
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
    """A name in lower case, without ``_``, ``-`` and spaces."""
    return re.sub(r"[-_\s]", "", name.lower())


def stem(path: Path) -> str:
    """A file's name without suffix and case."""
    return path.stem.lower()


def by_name(
    files: Iterable[Path], name: Callable[[Path], str] = stem
) -> tuple[dict[str, Path], list[str]]:
    """Files by name, and a sentence for each file whose name is taken by an earlier one."""
    found: dict[str, Path] = {}
    problems = []
    for path in files:
        first = found.setdefault(name(path), path)
        if first != path:
            problems.append(f"{path} and {first.name} have the same name")
    return found, problems


@dataclass(frozen=True)
class Matches:
    """The pairs of two folders, and a sentence for each file that could not be paired."""

    pairs: tuple[PairOfFiles, ...]
    problems: tuple[str, ...]


def match(
    degraded: Path, target: Path, strip: str = RAIN, suffixes: Container[str] = SUFFIXES
) -> Matches:
    """Pairs two folders by name: equal stems, or ``X_...`` with ``X``.

    Several ``X_...`` may share one target (haze of several densities over one photograph).

    Args:
        strip: regular expression, in lower case, for what to ignore in a stem.
        suffixes: of the files to pair.

    Raises:
        SourceError: a folder does not exist or cannot be read.
    """

    def key(path: Path) -> str:
        return re.sub(strip, "", stem(path))

    targets, problems = by_name(image_files(target, suffixes), key)
    pairs = []
    for path in image_files(degraded, suffixes):
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
    """The pairs of two folders in which every file must have a partner.

    Raises:
        SourceError: a file has no partner, two targets have the same name, or there are no pairs.
    """
    matches = match(degraded, target)
    if matches.problems:
        raise SourceError(matches.problems[0])
    return list(matches.pairs)


def photograph(path: Path) -> str:
    """A name for an undegraded photograph that is the same in every folder and format."""
    return re.sub(RAIN, "", stem(path))


def hold_out(names: Sequence[str], share: float) -> set[str]:
    """About a share of the names, at least one: those with the smallest hashes.

    Whether a photograph is held out does not depend on the others (except for that one).

    Raises:
        SourceError: there are fewer than two names, so nothing would be left to train on.
    """
    if len(set(names)) < 2:
        raise SourceError(
            "a single photograph cannot be held out for validation; --holdout 0 trains on it"
        )
    place = {name: _place(name) for name in names}
    return {name for name in names if place[name] < share} or {min(names, key=place.__getitem__)}


def _place(name: str) -> float:
    """A number in [0, 1) that depends only on the name."""
    # File names may not be Unicode.
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
