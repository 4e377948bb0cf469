"""The header of a weights file: what it holds and where it comes from, read without torch.

A safetensors file begins with the length of a JSON header, the header, then the tensors' bytes.
Its metadata has one entry, ``baryir``, a JSON object: ``format`` (version), ``config`` (all of
:class:`models.config.NetworkConfig`) and ``provenance``. One entry and not three, since
safetensors writes several in random order, and the same weights should make the same file.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from models.config import ConfigError, NetworkConfig

FORMAT = 1
"""Version of the metadata; a reader refuses newer ones."""
MAX_HEADER = 4 << 20
"""Bytes; the official preset's header has 0.1 MB."""
ITEM_BYTES = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8}
"""What tensors may be stored as, by their safetensors name, and the bytes of a value."""
MAX_DIMENSIONS = 16
MAX_COUNT = 1 << 48
"""Of numbers in a tensor, and of anything that counts in one."""
MAX_DEPTH = 64
"""Of lists and objects within each other in the provenance."""
MAX_DIGITS = 20
"""Of a whole number in JSON; what has 64 bits fits."""


class WeightsError(ValueError):
    """Weights that cannot be used; the message is one line, what is wrong and where."""


def quoted(text: object) -> str:
    """A name out of a file, for a message: one line, no control characters, not too long."""
    shown = ascii(text[:81])[1:-1] if isinstance(text, str) else type(text).__name__
    return shown if len(shown) <= 80 else shown[:77] + "..."


@dataclass(frozen=True)
class Entry:
    """A tensor as the header describes it.

    Attributes:
        dtype: one of :data:`ITEM_BYTES`.
        shape: as PyTorch orders it.
        begin: its first byte, counted from the file's start.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int

    @property
    def values(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """What a file says of itself; its tensors have not been looked at."""

    config: NetworkConfig
    provenance: dict[str, Any]
    tensors: dict[str, Entry]

    @property
    def parameters(self) -> int:
        """Numbers in all tensors together."""
        return sum(entry.values for entry in self.tensors.values())


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Puts a file's name before whatever goes wrong with it.

    Raises:
        WeightsError: the file cannot be read, or something is wrong with what it holds.
    """
    try:
        yield
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from None
    except (WeightsError, ConfigError) as error:
        raise WeightsError(f"{path}: {error}") from None


def header_of(path: Path) -> Header:
    """The header of a weights file.

    Raises:
        WeightsError: the file is missing, damaged, no weights of ours or too new for us.
    """
    with naming(path), open(path, "rb") as file:
        return read_header(file)


def read_header(file: BinaryIO) -> Header:
    """The header of a file of ours, from its start.

    Raises:
        WeightsError, ConfigError: as :func:`header_of`, without the file's name.
    """
    tensors, metadata = read_entries(file)
    config, provenance = read_metadata(metadata)
    return Header(config, provenance, tensors)


def read_entries(file: BinaryIO) -> tuple[dict[str, Entry], Any]:
    """Tensors and metadata of any safetensors file, from its start, and the file found whole.

    Nothing larger than :data:`MAX_HEADER` is read, whatever the file claims.

    Raises:
        WeightsError: it is something else, damaged, or names a type that networks do not have.
    """
    start = file.read(8)
    length = int.from_bytes(start, "little")
    # A length may begin like a pickle, but no pickle reads as a length below 2**32.
    if start.startswith(b"PK\x03\x04") or (start.startswith(b"\x80") and length >= 1 << 32):
        raise WeightsError("a PyTorch checkpoint, not safetensors: baryir weights convert first")
    available = os.fstat(file.fileno()).st_size - 8
    # Text in the place of the length reads as an astronomic number.
    if len(start) < 8 or length < 2 or length >= 1 << 40:
        raise WeightsError("not a safetensors file")
    if length > MAX_HEADER:
        raise WeightsError(f"the header has {length} bytes, more than {MAX_HEADER}")
    if length > available:
        raise WeightsError("cut short within the header")
    try:
        header = _parse(file.read(length).decode("utf-8"))
    except (ValueError, RecursionError):
        raise WeightsError("not a safetensors file: its header is not JSON") from None
    if not isinstance(header, dict):
        raise WeightsError("not a safetensors file: its header is not a JSON object")
    metadata = header.pop("__metadata__", None)
    _check_body(header, available - length)
    body = 8 + length
    return {name: _check_entry(name, entry, body) for name, entry in header.items()}, metadata


def _check_body(header: dict[str, Any], size: int) -> None:
    """The tensors fill the body, each of them the bytes that follow the one before."""
    end = 0
    for begin, stop in sorted(_offsets(entry) for entry in header.values()):
        if begin != end or stop < begin:
            raise WeightsError("damaged header: the tensors' offsets have gaps or overlap")
        end = stop
    if end > size:
        raise WeightsError(f"cut short: {size} of {end} bytes of tensors are there")
    if end < size:
        raise WeightsError(f"{size - end} bytes follow the last tensor")


def _offsets(entry: Any) -> tuple[int, int]:
    offsets = _naturals(entry.get("data_offsets")) if isinstance(entry, dict) else None
    if offsets is None or len(offsets) != 2:
        raise WeightsError("damaged header: a tensor without offsets")
    return offsets[0], offsets[1]


def _naturals(values: Any) -> tuple[int, ...] | None:
    if isinstance(values, list) and all(type(v) is int and v >= 0 for v in values):
        return tuple(values)
    return None


def _check_entry(name: str, entry: dict[str, Any], body: int) -> Entry:
    """A tensor whose shape fits its bytes and whose type is one that we read."""
    dtype, shape = entry.get("dtype"), _naturals(entry.get("shape"))
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise WeightsError(f"{quoted(name)} is {quoted(dtype)}, not one of {', '.join(ITEM_BYTES)}")
    begin, stop = _offsets(entry)
    if shape is None or len(shape) > MAX_DIMENSIONS or max(shape, default=0) > MAX_COUNT:
        raise WeightsError(f"damaged header: {quoted(name)} has an odd shape")
    if math.prod(shape) * ITEM_BYTES[dtype] != stop - begin:
        raise WeightsError(f"damaged header: {quoted(name)}'s shape does not fit its bytes")
    return Entry(dtype, shape, body + begin)


def read_metadata(metadata: Any) -> tuple[NetworkConfig, dict[str, Any]]:
    """Config and provenance from a header's metadata.

    Raises:
        WeightsError: they are not there, damaged, or too new for us.
        ConfigError: the config cannot be built.
    """
    if not isinstance(metadata, dict) or not isinstance(metadata.get("baryir"), str):
        raise WeightsError("no BaryIR metadata; these are weights of another program")
    try:
        entry = _parse(metadata["baryir"])
        version, config, provenance = entry["format"], entry["config"], entry["provenance"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise WeightsError("damaged metadata: no format, config and provenance") from None
    if type(version) is not int or version < 1:
        raise WeightsError("damaged metadata: the format is no number from 1")
    if version > FORMAT:
        raise WeightsError(f"format {version} is newer than this program knows ({FORMAT}): upgrade")
    if not isinstance(provenance, dict):
        raise WeightsError("damaged metadata: provenance is not a JSON object")
    if not _is_shallow(provenance, MAX_DEPTH):
        raise WeightsError("damaged metadata: provenance has lists within lists without end")
    return NetworkConfig.from_dict(config), provenance


def _is_shallow(value: Any, levels: int) -> bool:
    """Whether a JSON value can be walked; Python reads deeper ones than it can write."""
    if not isinstance(value, (dict, list)):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(v, levels - 1) for v in inner)


def _parse(text: str) -> Any:
    """JSON as everybody reads it: no key twice, no NaN, no number that nobody can hold."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            raise ValueError("a key is there twice")
        return values

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    def whole(digits: str) -> int:
        if len(digits) > MAX_DIGITS:
            raise ValueError(f"a number of {len(digits)} digits")
        return int(digits)

    def finite(digits: str) -> float:
        number = float(digits)
        return number if math.isfinite(number) else refuse("infinity")

    return json.loads(
        text,
        object_pairs_hook=unique,
        parse_constant=refuse,
        parse_int=whole,
        parse_float=finite,
    )
