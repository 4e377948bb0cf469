"""Converts anybody's checkpoint of this network into a config and a state dict of ours.

A network is found by a tensor that every network has, under the authors' name or ours. What comes
before this name (``BaryIR``, ``params_ema``, ``state_dict.module``) is the network's place in the
file. Tensors elsewhere (optimisers, potentials) are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.architecture import STEM, read_config
from models.config import NetworkConfig
from models.content import Content, open_content
from models.digest import hexdigest
from models.header import quoted, weights_errors
from models.network import build
from models.official import from_official, is_unused, official_name
from models.torchfile import StoredTensor
from models.weights import DTYPES, Shapes, WeightsError, check_shapes, expected_shapes, numbered

STEMS = (STEM, official_name(STEM))
"""The tensor that every network has, under our name and the authors'."""
AVERAGED = re.compile(r"(^|[._])(ema|average|averaged)([._]|$)")
"""Matches places of averaged weights, which are preferred to those of the last step."""
POTENTIALS = ("Pots.", "potentials.")
"""Prefixes of potentials, which may lie beside a network's own tensors."""
SEED = 0
"""For initialising what a partial file lacks."""

Tensors = dict[str, StoredTensor]


@dataclass(frozen=True)
class Report:
    """What became of a file's tensors, under the file's own names."""

    place: str
    """Of the network in the file; empty if it is the file itself."""
    kept: int
    """Number of tensors that the network takes."""
    unused: tuple[str, ...]
    """Tensors of modules that the authors' network holds and never uses."""
    elsewhere: dict[str, int]
    """Number of tensors outside the network, by how their names begin."""
    unknown: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Conversion:
    """A converted checkpoint: ``state`` fits a network of ``config``."""

    config: NetworkConfig
    state: dict[str, Tensor]
    report: Report
    facts: dict[str, int]
    """Counters in the file, see :data:`models.content.FACTS`."""
    provenance: dict[str, Any] | None
    """Only of weights that were in our own format already."""
    sha256: str
    """Of the file."""


def convert(path: Path, *, entry: str | None = None, partial: bool = False) -> Conversion:
    """Reads a file of ``torch.save`` or safetensors, and runs nothing that it names.

    Args:
        entry: place of the network in the file, or its first parts, if there are several networks.
        partial: initialise missing tensors afresh, and leave out unknown ones. The result is only
            a start for training.

    Raises:
        WeightsError: the file cannot be converted; one line that begins with its name.
    """
    with weights_errors(path), open_content(path) as content:
        return _convert(content, path, entry, partial)


def _convert(content: Content, path: Path, entry: str | None, partial: bool) -> Conversion:
    place = _choose(_places(content.tensors), entry)
    inside, elsewhere = _part(content.tensors, place)
    official = STEM not in inside
    found = from_official(inside) if official else inside
    shapes = {name: tensor.shape for name, tensor in found.items()}
    config = content.config or read_config(shapes)
    expected = expected_shapes(config)
    report = Report(
        place=place,
        kept=len(found.keys() & expected.keys()),
        unused=tuple(n for n in inside if official and is_unused(n)),
        elsewhere=elsewhere,
        unknown=tuple(_file_name(n, official) for n in found if n not in expected),
        missing=tuple(_file_name(n, official) for n in expected if n not in found),
    )
    if not partial:
        _refuse_partial(report)
    kept = {name: found[name] for name in expected if name in found}
    _check(kept, expected, content.size)
    state = _fresh(config, kept.keys()) if report.missing else {}
    state |= {name: tensor.load() for name, tensor in kept.items()}
    with open(path, "rb") as file:
        sha256 = hexdigest(file)
    return Conversion(config, state, report, content.facts, content.provenance, sha256)


def _places(tensors: Iterable[str]) -> list[str]:
    """The places of all networks, without a dot at the end."""
    places: dict[str, None] = {}
    for name in tensors:
        for stem in STEMS:
            if f".{name}".endswith(f".{stem}"):
                places[name.removesuffix(stem).removesuffix(".")] = None
    return list(places)


def _choose(places: list[str], entry: str | None) -> str:
    if not places:
        raise WeightsError(f"no BaryIR network: it has neither {STEMS[1]} nor {STEMS[0]}")
    if entry is not None:
        chosen = [p for p in places if f"{p}.".startswith(f"{entry}.")]
    else:
        chosen = [p for p in places if AVERAGED.search(p)] or places
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(quoted(place) or "the file itself" for place in (chosen or places)[:8])
    if chosen:
        raise WeightsError(f"several networks ({names}): name one with --entry")
    raise WeightsError(f"no network in {quoted(entry)}; networks are in {names}")


def _part(tensors: Tensors, place: str) -> tuple[Tensors, dict[str, int]]:
    """The network's tensors, under their names within it, and how many there are elsewhere."""
    before = f"{place}." if place else ""
    inside: Tensors = {}
    elsewhere: Counter[str] = Counter()
    for name, tensor in tensors.items():
        own = name.removeprefix(before)
        if name.startswith(before) and not own.startswith(POTENTIALS):
            inside[own] = tensor
        else:
            elsewhere[_beside(name, place)] += 1
    return inside, dict(elsewhere)


def _beside(name: str, place: str) -> str:
    """The first parts of a name, up to the one in which it leaves the network's place."""
    parts = name.split(".")
    together = 0
    for part, own in zip(parts, place.split("."), strict=False):
        if part != own:
            break
        together += 1
    return ".".join(parts[: together + 1])


def _file_name(name: str, official: bool) -> str:
    return official_name(name) if official else name


def _refuse_partial(report: Report) -> None:
    parts = [
        numbered(what, names)
        for what, names in (("missing", report.missing), ("unknown", report.unknown))
        if names
    ]
    if parts:
        raise WeightsError(
            f"{'; '.join(parts)}: the network would not restore as it was trained to; "
            "--partial converts it as a start for training"
        )


def _check(kept: Tensors, expected: Shapes, size: int) -> None:
    """Checks shapes, types and the number of bytes before any tensor is read."""
    check_shapes(
        {name: tensor.shape for name, tensor in kept.items()},
        {name: expected[name] for name in kept},
    )
    for name, tensor in kept.items():
        if tensor.dtype not in DTYPES.values():
            raise WeightsError(f"{name} is {tensor.dtype}; weights are floating-point")
    if sum(tensor.count * tensor.dtype.itemsize for tensor in kept.values()) > size:
        raise WeightsError("the tensors claim more bytes than the file has")
    wanted = sum(torch.Size(shape).numel() for shape in expected.values())
    if 2 * sum(tensor.count for tensor in kept.values()) < wanted:
        raise WeightsError("the file has less than half of the network")


def _fresh(config: NetworkConfig, without: Iterable[str]) -> dict[str, Tensor]:
    """An untrained network's state, without the tensors that the file has."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        state = build(config).state_dict()
    there = set(without)
    return {name: tensor for name, tensor in state.items() if name not in there}
