"""Sets of a bench with some of their images alone, or with what another program made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from baryir_cli.benches.find import FoundSet, Item
from train.folders import SourceError, image_files


def limited(found: FoundSet, most: int) -> FoundSet:
    """A set of ``most`` images, evenly spread over all of its own."""
    count = len(found.items)
    if count <= most:
        return found
    return replace(found, items=tuple(found.items[i * count // most] for i in range(most)))


def restored_elsewhere(found: FoundSet, folder: Path) -> FoundSet:
    """A set whose images another program has restored into a folder, under their names.

    What one of the two lacks is a problem of the set.

    Args:
        folder: of the set, as ``eval --save`` and ``--export`` lay it out; any format.
    """
    items: list[Item] = []
    problems = list(found.problems)
    for part in sorted({Path(item.name).parent for item in found.items}):
        try:
            files = {path.stem.lower(): path for path in image_files(folder / part)}
        except SourceError as error:
            problems.append(str(error))
            continue
        for item in (item for item in found.items if Path(item.name).parent == part):
            restored = files.pop(Path(item.name).name.lower(), None)
            if restored is not None:
                items.append(replace(item, restored=restored))
            else:
                problems.append(f"{folder / item.name}.png is not there")
        problems += [f"{path} is no image of {found.label}" for path in files.values()]
    return replace(found, items=tuple(items), problems=tuple(problems))
