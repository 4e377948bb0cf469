"""Variants of a bench's sets: fewer images, or images that another program restored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from baryir_cli.benches.find import FoundSet, Item
from baryir_cli.images import READABLE_SUFFIXES
from train.folders import SourceError, by_name, image_files


def limited(found: FoundSet, most: int | None) -> FoundSet:
    """A set reduced to ``most`` images, evenly spread; None keeps all."""
    count = len(found.items)
    if most is None or count <= most:
        return found
    return replace(found, items=tuple(found.items[i * count // most] for i in range(most)))


def restored_elsewhere(found: FoundSet, folder: Path, most: int | None = None) -> FoundSet:
    """A set whose images another program has restored into a folder, keeping their names.

    Files that are missing, duplicate or unknown are problems of the set.

    Args:
        folder: the set's own, laid out as by ``eval --save`` and ``--export``; any image format.
        most: how many images are wanted (:func:`limited`); the folder may hold the others too.
    """
    known = {item.name.lower() for item in found.items}
    wanted = limited(found, most).items
    items: list[Item] = []
    problems = list(found.problems)
    for part in sorted({Path(item.name).parent for item in wanted}):
        try:
            paths = image_files(folder / part, READABLE_SUFFIXES)
        except SourceError as error:
            problems.append(str(error))
            continue
        files, doubles = by_name(paths)
        problems += doubles
        for name, path in files.items():
            if (part / name).as_posix().lower() not in known:
                problems.append(f"{path} is not an image of {found.label}")
        for item in (item for item in wanted if Path(item.name).parent == part):
            if restored := files.get(Path(item.name).name.lower()):
                items.append(replace(item, restored=restored))
            else:
                problems.append(f"{folder / item.name}.png is missing")
    return replace(found, items=tuple(items), problems=tuple(problems))
