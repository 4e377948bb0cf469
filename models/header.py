"""The header of a weights file: what it holds and where it comes from, read without torch.

A safetensors file has the length of a JSON header, the header, then the tensors' bytes. Our
metadata are one entry, ``baryir``, a JSON object: ``format`` (version), ``config`` (all of
:class:`models.config.NetworkConfig`) and ``provenance``. It is one entry because safetensors writes
several in random order, and the same weights should make the same file.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from models.config import ConfigError, NetworkConfig
from models.jsontext import parsed
from models.wording import no_such

FORMAT = 1
"""Version of the metadata; a reader refuses newer ones."""
MAX_HEADER = 4 << 20
"""Bytes of a header; the official preset's has 0.1 MB."""
ITEM_BYTES = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8}
"""The types of tensors, by their safetensors name, and the bytes of a value."""
MAX_DIMENSIONS = 16
"""Dimensions of a tensor."""
MAX_COUNT = 1 << 48
"""Limit for sizes, strides and offsets of a tensor, and for the values in a storage."""
MAX_DEPTH = 64
"""Levels of lists and objects in the provenance."""
MAX_DIGITS = 20
"""Characters of a whole number in JSON; every 64-bit number fits."""


class WeightsError(ValueError):
    """Weights that cannot be used; the message is one line that says what is wrong and where."""


def quoted(text: object) -> str:
    """A name from a file, for a message: one line, no control characters, 80 at most."""
    shown = ascii(text[:81])[1:-1] if isinstance(text, str) else type(text).__name__
    return shown if len(shown) <= 80 else shown[:77] + "..."


@dataclass(frozen=True)
class Entry:
    """A tensor as the header describes it.

    Attributes:
        dtype: one of :data:`ITEM_BYTES`.
        shape: as PyTorch orders it.
        begin: position of its first byte in the file.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int

    @property
    def values(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """What a file says about itself; its tensors have not been read."""

    config: NetworkConfig
    provenance: dict[str, Any]
    tensors: dict[str, Entry]

    @property
    def parameters(self) -> int:
        """Number of values in all tensors."""
        return sum(entry.values for entry in self.tensors.values())


@contextmanager
def weights_errors(path: Path) -> Iterator[None]:
    """Puts a file's name in front of every error about it.

    Raises:
        WeightsError: the file cannot be read, or its contents are wrong.
    """
    try:
        yield
    except (FileNotFoundError, IsADirectoryError):
        raise WeightsError(no_such(path, "file")) from None
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from None
    except (WeightsError, ConfigError) as error:
        raise WeightsError(f"{path}: {error}") from None


def header_of(path: Path) -> Header:
    """The header of a weights file.

    Raises:
        WeightsError: the file is missing or damaged, or its weights are not ours or too new.
    """
    with weights_errors(path), open(path, "rb") as file:
        return read_header(file)


def read_header(file: BinaryIO) -> Header:
    """The header of a weights file, read from its start.

    Raises:
        WeightsError, ConfigError: as :func:`header_of`, without the file's name.
    """
    tensors, metadata = read_entries(file)
    config, provenance = read_metadata(metadata)
    return Header(config, provenance, tensors)


def is_archive(start: bytes) -> bool:
    """Whether a file with these first bytes is a zip archive, the newer format of torch.save."""
    return start.startswith(b"PK\x03\x04")


def is_torch(start: bytes) -> bool:
    """Whether a file with these first 9 bytes comes from torch.save, or is at least a pickle."""
    # One safetensors file in 32 begins like a pickle: its header's length is 0x80 modulo 256.
    header = start[4:9] == b"\0\0\0\0{"
    return is_archive(start) or (start.startswith(b"\x80") and not header)


def read_entries(file: BinaryIO) -> tuple[dict[str, Entry], Any]:
    """Tensors and metadata of any safetensors file, read from its start and checked.

    Whatever the file claims, no more than :data:`MAX_HEADER` bytes are read.

    Raises:
        WeightsError: the file is not safetensors, is damaged or incomplete, or has a type that
            weights cannot have.
    """
    start = file.read(9)
    if is_torch(start):
        raise WeightsError(
            "a PyTorch checkpoint, not safetensors: run baryir weights convert first"
        )
    file.seek(8)
    length = int.from_bytes(start[:8], "little")
    available = os.fstat(file.fileno()).st_size - 8
    # Text instead of the length gives an astronomical number.
    if len(start) < 8 or length < 2 or length >= 1 << 40:
        raise WeightsError("not a safetensors file")
    if length > MAX_HEADER:
        raise WeightsError(f"the header has {length} bytes, more than the limit of {MAX_HEADER}")
    if length > available:
        raise WeightsError("cut short within the header")
    try:
        header = _parse(file.read(length).decode("utf-8"))
    except ValueError:
        raise WeightsError("not a safetensors file: its header is not JSON") from None
    if not isinstance(header, dict):
        raise WeightsError("not a safetensors file: its header is not a JSON object")
    metadata = header.pop("__metadata__", None)
    _check_body(header, available - length)
    body = 8 + length
    return {name: _check_entry(name, entry, body) for name, entry in header.items()}, metadata


def _check_body(header: dict[str, Any], size: int) -> None:
    """Checks that the tensors fill the body, one after the other."""
    end = 0
    for begin, stop in sorted(_offsets(entry) for entry in header.values()):
        if begin != end or stop < begin:
            raise WeightsError("damaged header: the tensors' offsets have gaps or overlap")
        end = stop
    if end > size:
        raise WeightsError(f"cut short: only {size} of {end} bytes of tensors")
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
    """A tensor, after checking that its type is known and its shape fits its bytes."""
    dtype, shape = entry.get("dtype"), _naturals(entry.get("shape"))
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise WeightsError(f"{quoted(name)} is {quoted(dtype)}, not one of {', '.join(ITEM_BYTES)}")
    begin, stop = _offsets(entry)
    if shape is None or len(shape) > MAX_DIMENSIONS or max(shape, default=0) > MAX_COUNT:
        raise WeightsError(f"damaged header: {quoted(name)} has an invalid shape")
    if math.prod(shape) * ITEM_BYTES[dtype] != stop - begin:
        raise WeightsError(f"damaged header: {quoted(name)}'s shape does not fit its bytes")
    return Entry(dtype, shape, body + begin)


def read_metadata(metadata: Any) -> tuple[NetworkConfig, dict[str, Any]]:
    """Config and provenance from a header's metadata.

    Raises:
        WeightsError: they are missing, damaged or too new.
        ConfigError: the config cannot be built.
    """
    if not isinstance(metadata, dict) or not isinstance(metadata.get("baryir"), str):
        raise WeightsError("no BaryIR metadata: these weights are from another program")
    try:
        entry = _parse(metadata["baryir"])
        version, config, provenance = entry["format"], entry["config"], entry["provenance"]
    except (ValueError, KeyError, TypeError):
        raise WeightsError("damaged metadata: format, config or provenance is missing") from None
    if type(version) is not int or version < 1:
        raise WeightsError("damaged metadata: the format is not a positive whole number")
    if version > FORMAT:
        raise WeightsError(
            f"format {version} is newer than this BaryIR can read ({FORMAT}): upgrade"
        )
    if not isinstance(provenance, dict):
        raise WeightsError("damaged metadata: provenance is not a JSON object")
    if not _is_shallow(provenance, MAX_DEPTH):
        raise WeightsError("damaged metadata: provenance is nested too deeply")
    return NetworkConfig.from_dict(config), provenance


def _is_shallow(value: Any, levels: int) -> bool:
    """Whether a JSON value can be walked; Python can read deeper ones than it can write."""
    if not isinstance(value, (dict, list)):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(v, levels - 1) for v in inner)


def _parse(text: str) -> Any:
    """Strict JSON: no key twice, no NaN or infinity, no whole number of over 20 digits."""

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

    return parsed(
        text,
        object_pairs_hook=unique,
        parse_constant=refuse,
        parse_int=whole,
        parse_float=finite,
    )
