"""Sets of a bench with some of their images alone, or with what another program made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from baryir_cli.benches.find import FoundSet, Item
from train.folders import SourceError, image_files


def limited(found: FoundSet, most: int | None) -> FoundSet:
    """A set of at most ``most`` images (None: all), evenly spread over all of its own."""
    count = len(found.items)
    if most is None or count <= most:
        return found
    return replace(found, items=tuple(found.items[i * count // most] for i in range(most)))


def restored_elsewhere(found: FoundSet, folder: Path, most: int | None = None) -> FoundSet:
    """A set whose images another program has restored into a folder, under their names.

    What the folder lacks, has twice or has too many is a problem of the set.

    Args:
        folder: of the set, as ``eval --save`` and ``--export`` lay it out; any format.
        most: how many images are wanted (:func:`limited`); the set's others may be there or not.
    """
    known = {item.name.lower() for item in found.items}
    wanted = limited(found, most).items
    items: list[Item] = []
    problems = list(found.problems)
    for part in sorted({Path(item.name).parent for item in wanted}):
        try:
            paths = image_files(folder / part)
        except SourceError as error:
            problems.append(str(error))
            continue
        files: dict[str, Path] = {}
        for path in paths:
            name = (part / path.stem).as_posix().lower()
            if name not in known:
                problems.append(f"{path} is no image of {found.label}")
            elif files.setdefault(name, path) != path:
                problems.append(f"{path} and {files[name].name} have one name")
        for item in (item for item in wanted if Path(item.name).parent == part):
            if restored := files.get(item.name.lower()):
                items.append(replace(item, restored=restored))
            else:
                problems.append(f"{folder / item.name}.png is not there")
    return replace(found, items=tuple(items), problems=tuple(problems))
