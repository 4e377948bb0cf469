"""Finds the images among the inputs, and tells what is left alone."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from baryir_cli.errors import UsageError
from baryir_cli.files.paths import Identity, identity, same
from baryir_cli.images import (
    EXPORT_FIRST,
    FOREIGN_SUFFIXES,
    READABLE_SUFFIXES,
    format_of,
    heic,
)
from baryir_cli.images.headers import looks_like_an_image
from baryir_cli.shell.units import counted
from models.wording import no_such
from train.folders import is_left_out


@dataclass(frozen=True)
class Found:
    """A file among the inputs, or a folder that cannot be read."""

    path: Path
    folder: Path
    """The image's folder inside the output folder."""
    origin: str
    """Name of the given folder, to tell apart files of the same name."""
    problem: str = ""
    kind: Literal["image", "foreign", "unnamed", "link"] = "image"
    """``foreign`` is a photograph that only other programs read, ``unnamed`` an image without a
    suffix of its format, ``link`` leads to a folder."""


def find_images(
    inputs: Sequence[Path], output: Path, note: Callable[[str], None], *, recursive: bool
) -> list[Found]:
    """The images among the inputs and in them, each once.

    Args:
        output: a folder of earlier results, which are no inputs.
        note: told, one line each, what is left alone.

    Raises:
        UsageError: an input is missing, or there are no images.
    """
    found = _unique_sources([f for path in inputs for f in _find(path, output, recursive)])
    others = _left_alone(found, inputs)
    images = [f for f in found if f.kind == "image"]
    if not images:
        hint = "; ".join(f"{what}: {way}" for what, way in others) or _hint(inputs, recursive)
        raise UsageError(f"no images in {', '.join(map(str, inputs))}{hint and f'; {hint}'}")
    for what, way in others:
        note(f"left alone: {what}; {way}")
    return images


def _left_alone(found: list[Found], inputs: Sequence[Path]) -> list[tuple[str, str]]:
    """What was left out, counted, and how to include it."""
    foreign = [f.path for f in found if f.kind == "foreign"]
    there = [Path(os.path.realpath(path)) for path in inputs]
    links = [f.path for f in found if f.kind == "link"]
    # Links into the inputs lead to images that are found anyway.
    aims = {path: Path(os.path.realpath(path)) for path in links}
    links = [p for p in links if not any(aims[p].is_relative_to(path) for path in there)]
    left = []
    for way, of_it in ((heic.INSTALL, True), (EXPORT_FIRST, False)):
        files = [path for path in foreign if (format_of(path) == "heic") == of_it]
        suffixes = Counter(path.suffix.lower() for path in files)
        counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(suffixes.items()))
        left.append((counts, files, way))
    unnamed = [f.path for f in found if f.kind == "unnamed"]
    what = f"{counted(len(unnamed), 'image')} without a known suffix"
    left.append((what, unnamed, "rename, or give as inputs"))
    if len(links) == 1:
        left.append(("1 link to a folder", links, "give it as an input too"))
    else:
        left.append((f"{len(links)} links to folders", links, "give them as inputs too"))
    return [(f"{what}, such as {of[0].name!r}", way) for what, of, way in left if of]


def _find(path: Path, output: Path, recursive: bool) -> Iterator[Found]:
    if path.is_file():
        yield Found(path, Path(), path.absolute().parent.name)
        return
    if not path.exists():
        raise UsageError(no_such(path, "file or folder"))
    if not path.is_dir():
        raise UsageError(f"{path}: neither a file nor a folder; to read from a pipe, use -")
    origin = path.absolute().name
    unreadable: list[OSError] = []
    for parent, folders, names in os.walk(path, onerror=unreadable.append):
        here = Path(parent)
        # The output folder holds earlier results, not inputs.
        keep = (d for d in folders if recursive and not d.startswith("."))
        folders[:] = sorted(d for d in keep if not same(here / d, output))
        for name in folders:
            if os.path.islink(here / name):
                yield Found(here / name, here.relative_to(path), origin, kind="link")
        for name in sorted(names):
            if is_left_out(name):
                continue
            suffix = Path(name).suffix.lower()
            if suffix in READABLE_SUFFIXES:
                missing = heic.is_missing_for(format_of(Path(name)))
                yield Found(
                    here / name,
                    here.relative_to(path),
                    origin,
                    kind="foreign" if missing else "image",
                )
            elif suffix in FOREIGN_SUFFIXES:
                yield Found(here / name, here.relative_to(path), origin, kind="foreign")
            elif looks_like_an_image(here / name):
                yield Found(here / name, here.relative_to(path), origin, kind="unnamed")
    for error in unreadable:
        folder = Path(error.filename)
        yield Found(folder, folder.relative_to(path), origin, error.strerror or str(error))


def is_searched(folder: Path, roots: set[Identity], output: Path) -> bool:
    """Whether a folder of results, which need not exist yet, is searched for inputs.

    Args:
        roots: the folders among the inputs.
    """
    real = Path(os.path.realpath(folder))
    for above in (real, *real.parents):
        if identity(above) in roots:
            return True
        # As in _find, which looks no further below these.
        if above.name.startswith(".") or same(above, output):
            return False
    return False


def _unique_sources(found: list[Found]) -> list[Found]:
    """Makes files that were given twice one job; links are images of their own."""
    seen: dict[str, Found] = {}
    for one in found:
        place = os.path.abspath(one.path)
        # What is left alone in a folder may also be given itself.
        if place not in seen or seen[place].kind != "image":
            seen[place] = one
    return list(seen.values())


def _hint(inputs: Sequence[Path], recursive: bool) -> str:
    if recursive or not any(
        p.is_dir() and any(c.is_dir() and not c.is_symlink() for c in p.iterdir()) for p in inputs
    ):
        return ""
    return "--recursive includes subfolders"
