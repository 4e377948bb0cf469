"""One image to work on, the files it becomes, and what is allowed with those that exist."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from baryir_cli.files.paths import same
from baryir_cli.images import format_of

STANDARD = Path("-")
"""Standard input or standard output."""


@dataclass(frozen=True)
class Job:
    """One image to work on."""

    source: Path
    target: Path
    comparison: Path | None = None
    """Where to write the picture of input and output side by side."""
    problem: str = ""
    """Why the work cannot begin."""

    @property
    def source_in_words(self) -> str:
        """The source's path, or which stream it is."""
        return "standard input" if self.source == STANDARD else str(self.source)

    @property
    def target_in_words(self) -> str:
        """The target's path, or which stream it is."""
        return "standard output" if self.target == STANDARD else str(self.target)

    @property
    def outputs(self) -> list[Path]:
        """The files that this job writes."""
        return [p for p in (self.target, self.comparison) if p is not None and p != STANDARD]

    def format(self, asked: str | None) -> str | None:
        """The output's format.

        The file's name decides: a JPEG that is called .png becomes a PNG. For standard output it
        is the format asked for, or None, the input's own.
        """
        return asked if self.target == STANDARD else format_of(self.target)

    def prefix_for(self, path: Path) -> str:
        """Begins a message about a file; empty for the source, which a failure names anyway."""
        return "" if path == self.source else f"{path} "


@dataclass(frozen=True)
class Options:
    """Options for every image of a run."""

    format: str | None
    quality: int | None
    max_megapixels: float
    overwrite: bool = False
    in_place: bool = False
    skip_existing: bool = False

    def may_replace(self, path: Path, job: Job) -> bool:
        """Whether a job may replace what is at ``path`` by the time that it is written."""
        if self.overwrite or path != job.target:
            return self.overwrite
        return (self.in_place and same(path, job.source)) or (self.skip_existing and is_empty(path))

    def may_skip(self, job: Job) -> bool:
        """Whether the job has become needless: another process has done it."""
        return self.skip_existing and is_finished(job)


def exists_already(job: Job, *, in_place: bool = False) -> list[Path]:
    """Files that the job would replace, its target first; ``in_place`` leaves out its source."""
    # Not Path.exists, which raises for a name that is too long: only one file should fail.
    there = (p for p in job.outputs if os.path.exists(p) and not os.path.isdir(p))
    return [p for p in there if not (in_place and same(p, job.source))]


def is_finished(job: Job) -> bool:
    """Whether the job's output is there, from this run or another."""
    if job.target == STANDARD or os.path.isdir(job.target):
        return False
    return os.path.exists(job.target) and not is_empty(job.target)


def is_empty(path: Path) -> bool:
    """Whether this is a file of 0 bytes: no output, for these are complete or absent."""
    return os.path.isfile(path) and not os.path.getsize(path)


def without_existing_comparison(job: Job) -> Job:
    """The job, if need be without the comparison picture that is there already."""
    there = job.comparison is not None and os.path.exists(job.comparison)
    return replace(job, comparison=None) if there else job
