"""Reads the benches and sets (``benches.toml``) and the paper's figures (``paper.json``)."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from baryir_cli.benches.degrade import Degradation
from baryir_cli.errors import UsageError
from models.wording import choices
from train.folders import RAIN, plain


@dataclass(frozen=True)
class BenchSet:
    """One set: where to find it and how its files pair. ``benches.toml`` explains the fields."""

    id: str
    label: str
    folders: tuple[str, ...]
    layouts: tuple[tuple[str, str], ...]
    clean: Degradation | None = None
    inputs: tuple[str, ...] = ()
    target: str = ""
    strip: str = RAIN
    reference: bool = True
    official: int | None = None
    otherwise: str | None = None

    def __post_init__(self) -> None:
        if not self.folders:
            raise ValueError(f"{self.id}: no folders")
        if bool(self.inputs) != bool(self.target):
            raise ValueError(f"{self.id}: inputs and target come together")
        re.compile(self.strip)

    @property
    def where(self) -> str:
        """Where ``eval --list`` tells users to put it."""
        if self.clean or not self.reference:
            return self.folders[0]
        if self.inputs:
            return f"{self.folders[0]}/{{{', '.join([*self.inputs, self.target])}}}"
        return f"{self.folders[0]}/{{{','.join(self.layouts[0])}}}"

    def answers_to(self, name: str) -> bool:
        """Whether ``name`` means this set. It may mean others too."""
        names = {self.id, self.label, *(folder.split("/")[-1] for folder in self.folders)}
        return plain(name) in {plain(n) for n in names}


@dataclass(frozen=True)
class Bench:
    """One benchmark of the paper."""

    id: str
    title: str
    sets: tuple[BenchSet, ...]
    metrics: tuple[str, ...]
    table: str
    ours: str
    """The paper's row to compare with."""
    paper_names: dict[str, str]
    """The paper's name of each set, by our id; empty if the paper has no row for it."""
    note: str = ""


def bench_sets() -> dict[str, BenchSet]:
    """Every set of every bench, by id."""
    return _catalogue()[0]


def benches() -> dict[str, Bench]:
    """Every bench, by the name that ``--bench`` takes."""
    return _catalogue()[1]


def bench(name: str) -> Bench:
    """Returns the bench of that name.

    Raises:
        UsageError: no such bench.
    """
    known = benches()
    if name.lower() not in known:
        raise UsageError(f"--bench {name}: use {choices(known)}")
    return known[name.lower()]


def chosen_sets(which: Bench, names: list[str]) -> list[BenchSet]:
    """Returns the sets that ``--sets`` names, in the bench's order; all if it names none.

    Raises:
        UsageError: the bench has no such set.
    """
    for name in names:
        if not any(s.answers_to(name) for s in which.sets):
            known = choices(s.id for s in which.sets)
            raise UsageError(f"--sets {name}: use {known} with --bench {which.id}")
    return [s for s in which.sets if not names or any(s.answers_to(n) for n in names)]


@cache
def paper_rows(table: str) -> list[dict[str, Any]]:
    """Returns the rows of a table of the paper: ``method``, and ``results`` by set and metric."""
    return json.loads(_data("paper.json"))[table]


@cache
def _catalogue() -> tuple[dict[str, BenchSet], dict[str, Bench]]:
    data = tomllib.loads(_data("benches.toml"))
    layouts = tuple((a, b) for a, b in data["layouts"])
    sets = {name: _bench_set(name, entry, layouts) for name, entry in data["sets"].items()}
    found = {}
    for name, entry in data["benches"].items():
        papers = entry.pop("sets")
        entry["metrics"] = tuple(entry["metrics"])
        members = tuple(sets[s] for s in papers)
        found[name] = Bench(id=name, sets=members, paper_names=papers, **entry)
    return sets, found


def _bench_set(name: str, entry: dict[str, Any], layouts: tuple[tuple[str, str], ...]) -> BenchSet:
    lists = {k: tuple(v) for k, v in entry.items() if isinstance(v, list)}
    if "layout" in entry:
        layouts = (lists.pop("layout"), *layouts)
        del entry["layout"]
    clean = Degradation(**entry.pop("clean")) if "clean" in entry else None
    return BenchSet(id=name, clean=clean, layouts=layouts, **{**entry, **lists})


def _data(name: str) -> str:
    return files("baryir_cli.benches").joinpath(name).read_text("utf-8")
