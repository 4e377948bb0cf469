"""Decides which image becomes which file, or refuses, before anything is read or written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from baryir_cli.atomic import is_protected
from baryir_cli.errors import UsageError
from baryir_cli.images import (
    EXPORT_FIRST,
    FOREIGN_SUFFIXES,
    FORMATS,
    READABLE_SUFFIXES,
    format_of,
    heic,
)
from baryir_cli.images.headers import looks_like_an_image
from baryir_cli.jobs import STANDARD, Job
from baryir_cli.paths import Identity, identity, same, settled
from baryir_cli.units import counted
from models.wording import no_such
from train.folders import COMPARISON, is_left_out


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


@dataclass(frozen=True)
class _Found:
    path: Path
    folder: Path
    """The image's folder inside the output folder."""
    origin: str
    """Name of the given folder, to tell apart files of the same name."""
    problem: str = ""
    kind: Literal["image", "foreign", "unnamed", "link"] = "image"
    """``foreign`` is a photograph that only other programs read, ``unnamed`` an image without a
    suffix of its format, ``link`` leads to a folder."""


def plan(
    inputs: Sequence[Path],
    output: Path,
    naming: Naming,
    note: Callable[[str], None] = lambda _text: None,
) -> list[Job]:
    """Every image of ``inputs`` with the file it becomes.

    If there is a single input file and ``output`` is named like an image, the input becomes that
    file; another suffix is refused. Otherwise ``output`` is a folder. Clashing names are told apart
    by their old extensions (``a_jpg.png``, ``a_png.png``) if these differ, then by their folders
    (``x_a.png``, ``y_a.png``), then by a number.

    Args:
        note: told, one line each, what is left out of folders: other formats, images without a
            suffix that says so, links to folders.

    Raises:
        UsageError: an input is missing, there are no images, an output is an input, or two
            outputs are one file.
    """
    output = settled(output)
    _check_output(output, naming)
    if STANDARD in inputs:
        if len(inputs) > 1:
            raise UsageError("-: standard input is one image, so it must be the only input")
        name = Path(f"stdin{_extension(None, naming)}")
        return _checked([_alone(STANDARD, name, output, naming)], naming)
    found = _gathered(inputs, output, naming, note)
    if len(inputs) == 1 and inputs[0].is_file():
        (name,) = _names(found, naming)
        return _checked([_alone(inputs[0], name, output, naming)], naming)
    if output == STANDARD:
        raise UsageError("-: standard output takes one image; give one input file")
    if _names_a_file(output, naming):
        raise UsageError(f"{output} is a file, or named like one; these images need a folder")
    return _checked(_into_folder(found, inputs, output, naming), naming)


def _gathered(
    inputs: Sequence[Path], output: Path, naming: Naming, note: Callable[[str], None]
) -> list[_Found]:
    """The images among the inputs and in them, each once.

    Raises:
        UsageError: an input is missing, or there are no images.
    """
    found = _unique_sources([f for path in inputs for f in _find(path, output, naming.recursive)])
    others = _left_alone(found, inputs)
    images = [f for f in found if f.kind == "image"]
    if not images:
        hint = "; ".join(f"{what}: {way}" for what, way in others) or _hint(inputs, naming)
        raise UsageError(f"no images in {', '.join(map(str, inputs))}{hint and f'; {hint}'}")
    for what, way in others:
        note(f"left alone: {what}; {way}")
    return images


def _left_alone(found: list[_Found], inputs: Sequence[Path]) -> list[tuple[str, str]]:
    """What was left out, counted, and how to include it."""
    foreign = [f.path for f in found if f.kind == "foreign"]
    there = [Path(os.path.realpath(path)) for path in inputs]
    aims = [Path(os.path.realpath(f.path)) for f in found if f.kind == "link"]
    # Links into the inputs lead to images that are found anyway.
    links = sum(not any(aim.is_relative_to(path) for path in there) for aim in aims)
    left = []
    for way, of_it in ((heic.INSTALL, True), (EXPORT_FIRST, False)):
        suffixes = Counter(p.suffix.lower() for p in foreign if (format_of(p) == "heic") == of_it)
        if suffixes:
            counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(suffixes.items()))
            left.append((counts, way))
    if unnamed := [f.path.name for f in found if f.kind == "unnamed"]:
        what = f"{counted(len(unnamed), 'image')} without a known suffix, such as {unnamed[0]!r}"
        left.append((what, "rename, or give as inputs"))
    if links == 1:
        left.append(("1 link to a folder", "give it as an input too"))
    elif links:
        left.append((f"{links} links to folders", "give them as inputs too"))
    return left


def _alone(source: Path, name: Path, output: Path, naming: Naming) -> Job:
    """The job of a single image: it becomes ``output``, or ``name`` in that folder."""
    _check_suffix(output, naming)
    named = _names_a_file(output, naming)
    if named and naming.suffix:
        raise UsageError(f"--suffix is for outputs in a folder, but {output} is a file")
    target = output if named else output / name
    return Job(source, target, _comparison(target, naming))


def _into_folder(
    found: list[_Found], inputs: Sequence[Path], output: Path, naming: Naming
) -> list[Job]:
    """The jobs of images that go into a folder.

    Raises:
        UsageError: the results would be inputs of the next run.
    """
    found = _without_results(found, output, naming)
    targets = [output / name for name in _names(found, naming)]
    jobs = [
        Job(f.path, t, _comparison(t, naming), f.problem)
        for f, t in zip(found, targets, strict=True)
    ]
    if not naming.suffix:  # with one, the next run knows the results
        _check_next_run(jobs, inputs, output, naming)
    return jobs


def _check_next_run(jobs: list[Job], inputs: Sequence[Path], output: Path, naming: Naming) -> None:
    """Refuses results that the same command would find among its inputs when it is run again.

    Raises:
        UsageError: names the first of them.
    """
    targets = [job.target for job in jobs if not job.problem and not is_left_out(job.target.name)]
    roots = {identity(path) for path in inputs if path.is_dir()}
    searched = {p: _is_searched(p, roots, output) for p in {t.parent for t in targets}}
    there = [t for t in targets if searched[t.parent]]
    known = {identity(job.source) for job in jobs if there}
    new = [t for t in there if identity(t) not in known]
    if not new:
        return
    way = "choose another output folder, or add --suffix"
    if naming.in_place:
        way = (
            "leave out --in-place and choose another output folder, or give each folder as its "
            "own output, without --format"
        )
    raise UsageError(f"{new[0]} would be an input of the next run; {way}")


def _is_searched(folder: Path, roots: set[Identity], output: Path) -> bool:
    """Whether a folder of results, which need not exist yet, is searched for inputs."""
    real = Path(os.path.realpath(folder))
    for above in (real, *real.parents):
        if identity(above) in roots:
            return True
        # As in _find, which looks no further below these.
        if above.name.startswith(".") or same(above, output):
            return False
    return False


def _hint(inputs: Sequence[Path], naming: Naming) -> str:
    if naming.recursive or not any(
        p.is_dir() and any(c.is_dir() and not c.is_symlink() for c in p.iterdir()) for p in inputs
    ):
        return ""
    return "--recursive includes subfolders"


def _check_output(output: Path, naming: Naming) -> None:
    if not naming.suffix.isprintable() or {"/", "\\"} & set(naming.suffix):
        raise UsageError(f"--suffix {naming.suffix!r}: must be part of a name, without / and \\")
    named = format_of(output) if _names_a_file(output, naming) else None
    if named is not None and naming.format not in (None, named):
        raise UsageError(f"{output} is named as {named}, but --format is {naming.format}")


def _check_suffix(output: Path, naming: Naming) -> None:
    """Refuses the output of one image if its suffix is not a supported format's."""
    # Folders may be called results_0.5, files are not.
    known = format_of(output) is not None or not output.suffix[1:2].isalpha()
    if not (known or naming.folder or output.is_dir()):
        raise UsageError(
            f"{output}: cannot write {output.suffix}, only {', '.join(FORMATS.values())}; "
            f"for a folder of that name use {output}{os.sep}"
        )


def _names_a_file(output: Path, naming: Naming) -> bool:
    if output == STANDARD:
        return True
    return format_of(output) is not None and not (naming.folder or output.is_dir())


def _find(path: Path, output: Path, recursive: bool) -> Iterator[_Found]:
    if path.is_file():
        yield _Found(path, Path(), path.absolute().parent.name)
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
                yield _Found(here / name, here.relative_to(path), origin, kind="link")
        for name in sorted(names):
            if is_left_out(name):
                continue
            suffix = Path(name).suffix.lower()
            if suffix in READABLE_SUFFIXES and not heic.is_missing_for(format_of(Path(name))):
                yield _Found(here / name, here.relative_to(path), origin)
            elif suffix in FOREIGN_SUFFIXES | READABLE_SUFFIXES:
                yield _Found(here / name, here.relative_to(path), origin, kind="foreign")
            elif looks_like_an_image(here / name):
                yield _Found(here / name, here.relative_to(path), origin, kind="unnamed")
    for error in unreadable:
        folder = Path(error.filename)
        yield _Found(folder, folder.relative_to(path), origin, error.strerror or str(error))


def _unique_sources(found: list[_Found]) -> list[_Found]:
    """Makes files that were given twice one job; links are images of their own."""
    seen: dict[str, _Found] = {}
    for one in found:
        place = os.path.abspath(one.path)
        # What is left alone in a folder may also be given itself.
        if place not in seen or seen[place].kind != "image":
            seen[place] = one
    return list(seen.values())


def _without_results(found: list[_Found], output: Path, naming: Naming) -> list[_Found]:
    """Leaves out what an earlier run of the same command wrote beside its inputs."""
    targets = [output / name for name in _names(found, naming)]
    pictures = [c for t in targets if (c := _comparison(t, naming))]
    written = {*_places([*pictures, *(targets if naming.suffix else [])])}
    places = _places([f.path for f in found])
    return [f for f, place in zip(found, places, strict=True) if place not in written]


def _places(paths: Sequence[Path]) -> list[str]:
    """Where names are, whatever links lead to their folders; a file that is a link has its own."""
    real = {folder: os.path.realpath(folder) for folder in {path.parent for path in paths}}
    return [os.path.join(real[path.parent], path.name) for path in paths]


def _extension(source: Path | None, naming: Naming) -> str:
    """The output's extension: the input's own, if it fits the output format."""
    own = None if source is None else format_of(source)
    if source and own and naming.format in (None, own):
        return source.suffix
    return FORMATS[naming.format or "png"]


def _names(found: Sequence[_Found], naming: Naming) -> list[Path]:
    """Output names inside the output folder, all different on any file system."""
    extensions = [_extension(f.path, naming) for f in found]
    former = [f.path.suffix.lower().replace(".", "_") for f in found]
    extended: set[int] = set()
    placed: set[int] = set()

    def name(i: int, one: _Found) -> Path:
        place = f"{one.origin}_" if i in placed else ""
        old = former[i] if i in extended else ""
        return one.folder / f"{place}{one.path.stem}{old}{naming.suffix}{extensions[i]}"

    while True:
        names = [name(i, one) for i, one in enumerate(found)]
        meeting: dict[str, list[int]] = {}
        for i, path in enumerate(names):
            meeting.setdefault(str(path).casefold(), []).append(i)
        known = len(extended) + len(placed)
        for clash in meeting.values():
            if len(clash) > 1:
                differ = len({former[i] for i in clash}) > 1
                for i in clash:
                    (extended if differ and i not in extended else placed).add(i)
        if len(extended) + len(placed) == known:
            return _numbered(names)


def _numbered(names: list[Path]) -> list[Path]:
    taken = {str(n).casefold() for n in names}
    seen: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 2
        while str(candidate).casefold() in (seen if candidate == name else seen | taken):
            candidate = name.with_name(f"{name.stem}_{number}{name.suffix}")
            number += 1
        seen.add(str(candidate).casefold())
        result.append(candidate)
    return result


def _comparison(target: Path, naming: Naming) -> Path | None:
    if not naming.compare:
        return None
    if target == STANDARD:
        raise UsageError("--compare needs an output file, not standard output")
    return target.with_name(target.name + COMPARISON)


def _checked(jobs: list[Job], naming: Naming) -> list[Job]:
    """Refuses outputs that are inputs, that clash, or that lie in files or behind broken links.

    Raises:
        UsageError: names the first of them.
    """
    for job in jobs:
        if heic.is_missing_for(job.format(naming.format)):
            raise UsageError(f"{job.target}: {heic.INSTALL}")
    for folder in {path.parent for job in jobs for path in job.outputs}:
        for above in (folder, *folder.parents):
            if os.path.islink(above) and not os.path.exists(above):
                aim = os.readlink(above)
                raise UsageError(
                    f"{above} is a link to {aim}, which does not exist; mount or create it"
                )
            if os.path.exists(above) and not os.path.isdir(above):
                raise UsageError(f"{above} is a file, not a folder; choose another output folder")
    if naming.in_place and not any(j.outputs and same(j.target, j.source) for j in jobs):
        raise UsageError(
            "--in-place: no output would replace its input; give the inputs' folder as OUTPUT, "
            "without --suffix, or leave out --in-place"
        )
    sources = {identity(j.source): j.source for j in jobs if j.source != STANDARD}
    outputs: dict[str, Path] = {}
    for job in jobs:
        for path in job.outputs:
            own = path == job.target and same(path, job.source)
            source = sources.get(identity(path))
            if source is not None and not (own and naming.in_place):
                raise _overwriting(path, source)
            # The same file may be reached through links.
            place = os.path.realpath(path).casefold()
            if place in outputs:
                raise _meeting(outputs[place], path)
            outputs[place] = path
    return [_unless_blocked(job) for job in jobs]


def _unless_blocked(job: Job) -> Job:
    """The job, with a problem if an output is a folder, or a file that is write-protected."""
    if job.problem:
        return job
    for path in job.outputs:
        if os.path.isdir(path):
            way = "is a folder; move it, or choose another output folder"
            return replace(job, problem=job.prefix_for(path) + way)
        if is_protected(path):
            way = "is write-protected; make it writable, or choose another output folder"
            return replace(job, problem=job.prefix_for(path) + way)
    return job


def _overwriting(path: Path, source: Path) -> UsageError:
    """The error for an output that is an input."""
    beside = same(path.parent, source.parent) and path.name.casefold() == source.name.casefold()
    if not (beside or source.is_symlink()):
        return UsageError(
            f"{path} is a link to the input {source}, which would be overwritten; remove the link, "
            "or choose another output folder"
        )
    return UsageError(
        f"{path} is an input and would be overwritten; choose another output folder, add --suffix, "
        "or use --in-place"
    )


def _meeting(first: Path, second: Path) -> UsageError:
    """The error for two outputs that would be one file."""
    if str(first).casefold() == str(second).casefold():
        return UsageError(f"two outputs would be {second}; add --suffix or rename an input")
    return UsageError(
        f"the outputs {first} and {second} are one file, through a link; choose another folder, "
        "or remove the link"
    )
