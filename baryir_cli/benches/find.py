"""Finds sets on disk: their folders, their pairs, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from baryir_cli.benches.catalogue import BenchSet, bench_sets
from baryir_cli.benches.degrade import Degradation
from baryir_cli.errors import UsageError, UserError, told_by_system
from baryir_cli.images import READABLE_SUFFIXES
from models.jsontext import parsed
from models.wording import no_such, numbers
from train.folders import RAIN, SourceError, by_name, find_folder, image_files, match


@dataclass(frozen=True)
class Item:
    """One image of a set: its files. A degradation makes the degraded image if there is no file."""

    name: str
    """The degraded file's, without suffix; with its subfolder if the set has several."""
    degraded: Path | None = None
    target: Path | None = None
    restored: Path | None = None
    """What another program made of it."""


@dataclass(frozen=True)
class FoundSet:
    """A set on disk, complete or not."""

    id: str
    label: str
    folder: Path
    items: tuple[Item, ...]
    problems: tuple[str, ...] = ()
    """Why images were left out, a sentence each."""
    degradation: Degradation | None = None
    official: int | None = None
    stands_for: str | None = None
    """Name of the official set that these images replace."""
    reference: bool = True
    """Whether the images have targets."""


def find_set(wanted: BenchSet, data: Path) -> FoundSet | None:
    """Finds a set below ``data``, or the one that stands in for it; None if neither is there.

    Raises:
        UserError: its ``set.json`` cannot be read.
    """
    found = [_in_folder(wanted, f) for name in wanted.folders if (f := _below(data, name))]
    best = max(found, key=lambda s: len(s.items), default=None)
    if best is not None:
        return _described(best)
    if wanted.otherwise is None:
        return None
    other = find_set(bench_sets()[wanted.otherwise], data)
    return replace(other, stands_for=wanted.label) if other else None


def folder_set(
    *, degraded: Path | None = None, target: Path | None = None, restored: Path | None = None
) -> FoundSet:
    """Makes a set of any folders: degraded or restored images, with or without targets.

    Raises:
        UsageError: a folder is missing, holds no images or cannot be read.
    """
    first = degraded or restored
    if first is None:
        raise UsageError("--target needs --input or --restored")
    for option, folder in (("input", degraded), ("target", target), ("restored", restored)):
        if folder is not None:
            _check_images(f"--{option}", folder)
    if target is None:
        items, problems = _singles(first)
    else:
        items, problems = _pairs(first, target)
    if restored is not None:
        items = tuple(replace(i, degraded=None, restored=i.degraded) for i in items)
    name = first.resolve().name
    return FoundSet("folder", name, first, items, problems, reference=target is not None)


def _check_images(option: str, folder: Path) -> None:
    if not folder.is_dir():
        way = f"give its folder, {folder.parent}" if folder.is_file() else "check the path"
        raise UsageError(f"{option} {no_such(folder, 'folder', way)}")
    try:
        there = image_files(folder, READABLE_SUFFIXES)
    except SourceError as error:
        raise UsageError(f"{option} {error}") from None
    if not there:
        raise UsageError(f"{option}: no images in {folder}")


def _below(data: Path, name: str) -> Path | None:
    return find_folder(data, *name.split("/"))


def _in_folder(wanted: BenchSet, folder: Path) -> FoundSet:
    try:
        items, problems = _items_of(wanted, folder)
    except SourceError as error:
        items, problems = (), (str(error),)
    except OSError as error:
        items, problems = (), (told_by_system(error),)
    return FoundSet(
        wanted.id,
        wanted.label,
        folder,
        items,
        problems,
        wanted.clean,
        wanted.official,
        reference=wanted.reference,
    )


Found = tuple[tuple[Item, ...], tuple[str, ...]]
"""Items, and why others were left out."""


def _items_of(wanted: BenchSet, folder: Path) -> Found:
    if wanted.clean is not None:
        items, problems = _singles(folder)
        return tuple(Item(i.name, target=i.degraded) for i in items), problems
    if not wanted.reference:
        return _singles(folder)
    if wanted.inputs:
        return _over_one_target(wanted, folder)
    return _in_layout(wanted, folder)


def _singles(folder: Path) -> Found:
    paths = image_files(folder, READABLE_SUFFIXES)
    if not paths:
        return (), (f"no images in {folder}",)
    files, doubles = by_name(paths)
    return tuple(Item(path.stem, degraded=path) for path in files.values()), tuple(doubles)


def _pairs(degraded: Path, target: Path, strip: str = RAIN, prefix: str = "") -> Found:
    matches = match(degraded, target, strip, READABLE_SUFFIXES)
    targets = dict(matches.pairs)
    files, doubles = by_name(targets)
    items = tuple(Item(prefix + a.stem, degraded=a, target=targets[a]) for a in files.values())
    return items, matches.problems + tuple(doubles)


def _in_layout(wanted: BenchSet, folder: Path) -> Found:
    for first, second in wanted.layouts:
        degraded, target = find_folder(folder, first), find_folder(folder, second)
        if degraded and target:
            return _pairs(degraded, target, wanted.strip)
    first, second = wanted.layouts[0]
    return (), (f"{folder} has no folders {first} and {second}",)


def _over_one_target(wanted: BenchSet, folder: Path) -> Found:
    target = find_folder(folder, wanted.target)
    if target is None:
        return (), (f"{folder} has no folder {wanted.target}",)
    items: tuple[Item, ...] = ()
    problems: tuple[str, ...] = ()
    for name in wanted.inputs:
        degraded = find_folder(folder, name)
        if degraded is not None:
            more, wrong = _pairs(degraded, target, wanted.strip, f"{name}/")
            items, problems = items + more, problems + wrong
    return items, problems or (() if items else (f"no images in {folder}",))


def _described(found: FoundSet) -> FoundSet:
    """Adds what the folder's ``set.json`` says."""
    path = found.folder / "set.json"
    if not path.is_file():
        return found
    try:
        entry = parsed(path.read_text("utf-8"))
        name, stands_for, official = (
            entry["name"],
            entry.get("stands_for"),
            entry.get("official_count"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{path}: not a JSON object with name, stands_for and official_count"
        ) from None
    texts = [name] if stands_for is None else [name, stands_for]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise UserError(f"{path}: name and stands_for must be non-empty text")
    if not (official is None or (type(official) is int and official > 0)):
        count = f"official_count {official!r}: use {numbers(1, whole=True)}"
        raise UserError(f"{path}: {count}")
    if found.degradation is not None:
        name = f"{name}, {found.degradation.short}"
    return replace(found, label=name, stands_for=stands_for, official=official or found.official)
