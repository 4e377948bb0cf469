"""Decides which image becomes which file, or refuses, before anything is read or written."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from baryir_cli.errors import UsageError
from baryir_cli.files.atomic import is_protected
from baryir_cli.files.jobs import STANDARD, Job
from baryir_cli.files.naming import Naming, comparison_of, extension_of, names_of
from baryir_cli.files.paths import folded, identity, same, settled
from baryir_cli.files.search import Found, find_images, is_searched
from baryir_cli.images import FORMATS, format_of, heic
from train.folders import is_left_out


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
        name = Path(f"stdin{extension_of(None, naming)}")
        return _checked([_alone(STANDARD, name, output, naming)], naming)
    found = find_images(inputs, output, note, recursive=naming.recursive)
    if len(inputs) == 1 and inputs[0].is_file():
        (name,) = names_of(found, naming, output)
        return _checked([_alone(inputs[0], name, output, naming)], naming)
    if output == STANDARD:
        raise UsageError("-: standard output takes one image; give one input file")
    if _names_a_file(output, naming):
        raise UsageError(f"{output} is a file, or named like one; these images need a folder")
    return _checked(_into_folder(found, inputs, output, naming), naming)


def _alone(source: Path, name: Path, output: Path, naming: Naming) -> Job:
    """The job of a single image: it becomes ``output``, or ``name`` in that folder."""
    _check_suffix(output, naming)
    named = _names_a_file(output, naming)
    if named and naming.suffix:
        raise UsageError(f"--suffix is for outputs in a folder, but {output} is a file")
    target = output if named else output / name
    return Job(source, target, comparison_of(target, naming))


def _into_folder(
    found: list[Found], inputs: Sequence[Path], output: Path, naming: Naming
) -> list[Job]:
    """The jobs of images that go into a folder.

    Raises:
        UsageError: the results would be inputs of the next run.
    """
    found = _without_results(found, output, naming)
    targets = [output / name for name in names_of(found, naming, output)]
    jobs = [
        Job(f.path, t, comparison_of(t, naming), f.problem)
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
    searched = {p: is_searched(p, roots, output) for p in {t.parent for t in targets}}
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


def _without_results(found: list[Found], output: Path, naming: Naming) -> list[Found]:
    """Leaves out what an earlier run of the same command wrote beside its inputs."""
    targets = [output / name for name in names_of(found, naming, output)]
    pictures = [c for t in targets if (c := comparison_of(t, naming))]
    written = {*_places([*pictures, *(targets if naming.suffix else [])])}
    places = _places([f.path for f in found])
    return [f for f, place in zip(found, places, strict=True) if place not in written]


def _places(paths: Sequence[Path]) -> list[str]:
    """Where names are, whatever links lead to their folders; a file that is a link has its own."""
    real = {folder: os.path.realpath(folder) for folder in {path.parent for path in paths}}
    return [os.path.join(real[path.parent], path.name) for path in paths]


def _checked(jobs: list[Job], naming: Naming) -> list[Job]:
    """Refuses outputs that cannot be written, that are inputs, or that clash.

    Raises:
        UsageError: names the first of them.
    """
    for job in jobs:
        if heic.is_missing_for(job.format(naming.format)):
            raise UsageError(f"{job.target}: {heic.INSTALL}")
    _check_folders(jobs)
    if naming.in_place and not any(j.outputs and same(j.target, j.source) for j in jobs):
        raise UsageError(
            "--in-place: no output would replace its input; give the inputs' folder as OUTPUT, "
            "without --suffix, or leave out --in-place"
        )
    _check_outputs(jobs, naming)
    return [_unless_blocked(job) for job in jobs]


def _check_folders(jobs: list[Job]) -> None:
    """Refuses outputs that lie in files or behind broken links."""
    for folder in {path.parent for job in jobs for path in job.outputs}:
        for above in (folder, *folder.parents):
            if os.path.islink(above) and not os.path.exists(above):
                aim = os.readlink(above)
                raise UsageError(
                    f"{above} is a link to {aim}, which does not exist; mount or create it"
                )
            if os.path.exists(above) and not os.path.isdir(above):
                raise UsageError(f"{above} is a file, not a folder; choose another output folder")


def _check_outputs(jobs: list[Job], naming: Naming) -> None:
    """Refuses outputs that are inputs or that are one file."""
    sources = {identity(j.source): j.source for j in jobs if j.source != STANDARD}
    outputs: dict[str, Path] = {}
    for job in jobs:
        for path in job.outputs:
            own = path == job.target and same(path, job.source)
            source = sources.get(identity(path))
            if source is not None and not (own and naming.in_place):
                raise _overwriting(path, source)
            # The same file may be reached through links.
            place = os.path.realpath(path)
            place = place if own and naming.in_place else folded(place)
            if place in outputs:
                raise _meeting(outputs[place], path)
            outputs[place] = path


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
    beside = same(path.parent, source.parent) and folded(path.name) == folded(source.name)
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
    if folded(first) == folded(second):
        return UsageError(f"two outputs would be {second}; add --suffix or rename an input")
    return UsageError(
        f"the outputs {first} and {second} are one file, through a link; choose another folder, "
        "or remove the link"
    )
