"""Names of outputs: foreseeable, and all different."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from baryir_cli.errors import UsageError
from baryir_cli.files.jobs import STANDARD
from baryir_cli.files.paths import folded, same
from baryir_cli.files.search import Found
from baryir_cli.images import FORMATS, format_of
from models.formats import COMPARISON


@dataclass(frozen=True)
class Naming:
    """How outputs are named and what they may replace.

    Attributes:
        format: output format of all, a key of :data:`baryir_cli.images.FORMATS`; None keeps each.
        suffix: added to every name before its extension.
        recursive: include subfolders and keep their structure.
        compare: also write ``NAME.EXT.compare.jpg``.
        in_place: outputs may replace their own inputs.
        folder: the output is a folder, even if its name looks like a file's.
    """

    format: str | None = None
    suffix: str = ""
    recursive: bool = False
    compare: bool = False
    in_place: bool = False
    folder: bool = False


def extension_of(source: Path | None, naming: Naming) -> str:
    """The output's extension: the input's own, if it fits the output format."""
    own = None if source is None else format_of(source)
    if source and own and naming.format in (None, own):
        return source.suffix
    return FORMATS[naming.format or "png"]


def names_of(found: Sequence[Found], naming: Naming, output: Path) -> list[Path]:
    """Output names inside the folder ``output``, all different on any file system.

    Only those that replace their own inputs stay as they are.
    """
    extensions = [extension_of(f.path, naming) for f in found]
    former = [f.path.suffix.lower().replace(".", "_") for f in found]
    extended: set[int] = set()
    placed: set[int] = set()

    def name(i: int, one: Found) -> Path:
        place = f"{one.origin}_" if i in placed else ""
        old = former[i] if i in extended else ""
        return one.folder / f"{place}{one.path.stem}{old}{naming.suffix}{extensions[i]}"

    own: set[int] = set()
    if naming.in_place:
        own = {i for i, one in enumerate(found) if same(output / name(i, one), one.path)}
    while True:
        names = [name(i, one) for i, one in enumerate(found)]
        meeting: dict[str, list[int]] = {}
        for i, path in enumerate(names):
            meeting.setdefault(folded(path), []).append(i)
        known = len(extended) + len(placed)
        for clash in meeting.values():
            if len(clash) > 1:
                differ = len({former[i] for i in clash}) > 1
                for i in set(clash) - own:
                    (extended if differ and i not in extended else placed).add(i)
        if len(extended) + len(placed) == known:
            return _numbered(names, own)


def _numbered(names: list[Path], own: set[int]) -> list[Path]:
    taken = {folded(n) for n in names}
    seen = {folded(names[i]) for i in own}
    result = []
    for i, name in enumerate(names):
        candidate, number = name, 2
        while i not in own and folded(candidate) in (seen if candidate == name else seen | taken):
            candidate = name.with_name(f"{name.stem}_{number}{name.suffix}")
            number += 1
        seen.add(folded(candidate))
        result.append(candidate)
    return result


def comparison_of(target: Path, naming: Naming) -> Path | None:
    """Where the picture of input and output goes, if one is asked for.

    Raises:
        UsageError: the output is standard output.
    """
    if not naming.compare:
        return None
    if target == STANDARD:
        raise UsageError("--compare needs an output file, not standard output")
    return target.with_name(target.name + COMPARISON)
