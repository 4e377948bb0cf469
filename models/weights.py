"""Weights of a network: one safetensors file that holds its config and where it comes from.

The metadata has one entry, ``baryir``, a JSON object: ``format`` (version), ``config`` (all of
:class:`models.config.NetworkConfig`) and ``provenance``. One entry and not three, since
safetensors writes several in random order, and the same weights should make the same file.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from models.config import ConfigError, NetworkConfig
from models.network import BaryIR, channels_last

FORMAT = 1
"""Version of the metadata; a reader refuses newer ones."""
MAX_HEADER = 4 << 20
"""Bytes; the official preset's header has 0.1 MB."""
DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
"""What tensors may be stored as, by their safetensors name."""

Shapes = dict[str, tuple[int, ...]]


class WeightsError(ValueError):
    """Weights that cannot be used; the message is one line, what is wrong and where."""


@dataclass(frozen=True)
class Weights:
    """A file's contents, checked: a network of ``config`` takes ``state`` as it is."""

    config: NetworkConfig
    provenance: dict[str, Any]
    state: dict[str, Tensor]
    sha256: str
    """Of the whole file."""


def skeleton(config: NetworkConfig) -> BaryIR:
    """The network without memory for its parameters (device ``meta``)."""
    with torch.device("meta"):
        return BaryIR(config)


def expected_shapes(config: NetworkConfig) -> Shapes:
    """Names and shapes of the tensors that a network of ``config`` has."""
    return {name: tuple(t.shape) for name, t in skeleton(config).state_dict().items()}


def check_shapes(found: Shapes, expected: Shapes) -> None:
    """Holds the tensors of a file or of a state dict against a network's.

    Raises:
        WeightsError: one is missing, too many or of another shape; the first is named.
    """
    if missing := [name for name in expected if name not in found]:
        raise WeightsError(f"{len(missing)} tensors are missing, first {missing[0]}")
    if extra := sorted(set(found) - set(expected)):
        raise WeightsError(f"{len(extra)} tensors too many, first {extra[0]}")
    for name, shape in expected.items():
        if found[name] != shape:
            raise WeightsError(f"{name} has shape {list(found[name])}, not {list(shape)}")


def save_weights(
    path: Path,
    config: NetworkConfig,
    state: Mapping[str, Tensor],
    provenance: Mapping[str, Any],
    dtype: torch.dtype = torch.float32,
) -> None:
    """Writes weights; the file is whole or absent, and equal contents make equal files.

    Args:
        state: the state dict of a network of ``config``.
        provenance: JSON values: sources, data, recipe, steps, figures, licence, date.
        dtype: of :data:`DTYPES`, what the tensors are stored as.

    Raises:
        WeightsError: the state does not fit the config, or is not finite in ``dtype``.
        OSError: the file cannot be written.
    """
    if dtype not in DTYPES.values():
        raise WeightsError(f"weights are not stored as {dtype}")
    check_shapes({name: tuple(t.shape) for name, t in state.items()}, expected_shapes(config))
    tensors = {name: t.detach().cpu().to(dtype).contiguous() for name, t in state.items()}
    _check_finite(tensors)
    try:
        entry = json.dumps(
            {"format": FORMAT, "config": config.to_dict(), "provenance": dict(provenance)},
            sort_keys=True,
            allow_nan=False,
        )
    except (TypeError, ValueError) as error:
        raise WeightsError(f"provenance must be JSON values: {error}") from None
    _write(Path(path), tensors, {"baryir": entry})


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    descriptor, name = tempfile.mkstemp(prefix=path.name + ".", suffix=".part", dir=path.parent)
    os.close(descriptor)
    try:
        # To the file at once: bytes in between would be once more the memory.
        try:
            safetensors.torch.save_file(tensors, name, metadata)
        except SafetensorError as error:
            raise OSError(f"{path}: {error}") from None
        with open(name, "rb+") as file:
            os.fsync(file.fileno())
        # mkstemp makes files for the owner alone; weights are as readable as any other file.
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_weights(path: Path) -> Weights:
    """Reads and checks weights; nothing is allocated before the header is found sound.

    Raises:
        WeightsError: the file is missing, damaged, no weights of ours or too new for us.
    """
    try:
        with open(path, "rb") as file:
            header = _read_header(file)
            config, provenance = _read_metadata(header.pop("__metadata__", None))
            shapes = {name: _check_entry(name, entry) for name, entry in header.items()}
            check_shapes(shapes, expected_shapes(config))
            file.seek(0)
            data = file.read()
        state = safetensors.torch.load(data)
        _check_finite(state)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from None
    except (WeightsError, ConfigError) as error:
        raise WeightsError(f"{path}: {error}") from None
    except SafetensorError as error:
        raise WeightsError(f"{path}: damaged safetensors file: {error}") from None
    return Weights(config, provenance, state, hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class Place:
    """Where a tensor lies in a safetensors file, counted from the file's start."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int


@dataclass(frozen=True)
class Index:
    """What the header of a safetensors file says; ``config`` and ``provenance`` if it is ours."""

    places: dict[str, Place]
    config: NetworkConfig | None
    provenance: dict[str, Any] | None


def read_index(file: BinaryIO) -> Index:
    """The header of any safetensors file, from a file at its start.

    Raises:
        WeightsError: it is damaged, or names a type that networks do not have.
        ConfigError: it has a config that cannot be built.
    """
    header = _read_header(file)
    body = file.tell()
    metadata = header.pop("__metadata__", None)
    config, provenance = None, None
    if isinstance(metadata, dict) and "baryir" in metadata:
        config, provenance = _read_metadata(metadata)
    places = {}
    for name, entry in header.items():
        shape = _check_entry(name, entry)
        places[name] = Place(DTYPES[entry["dtype"]], shape, body + _offsets(entry)[0])
    return Index(places, config, provenance)


def load_network(weights: Weights, device: str | torch.device = "cpu") -> BaryIR:
    """The network of some weights, ready to restore: float32, channels-last, no gradients."""
    network = skeleton(weights.config)
    state = {name: t.to(device, torch.float32) for name, t in weights.state.items()}
    network.load_state_dict(state, assign=True)
    return channels_last(network).eval().requires_grad_(False)


def _read_header(file: BinaryIO) -> dict[str, Any]:
    """The JSON object at the start of a safetensors file, its body found to be all there."""
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
        header = json.loads(file.read(length).decode("utf-8"))
    except (ValueError, RecursionError):
        raise WeightsError("not a safetensors file: its header is not JSON") from None
    if not isinstance(header, dict):
        raise WeightsError("not a safetensors file: its header is not a JSON object")
    _check_body(header, available - length)
    return header


def _check_body(header: dict[str, Any], size: int) -> None:
    """The tensors fill the body, each of them the bytes that follow the one before."""
    end = 0
    entries = [entry for name, entry in header.items() if name != "__metadata__"]
    for begin, stop in sorted(_offsets(entry) for entry in entries):
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


def _check_entry(name: str, entry: dict[str, Any]) -> tuple[int, ...]:
    """The shape of a tensor, which fits its bytes and is of a type that we read."""
    dtype, shape = entry.get("dtype"), _naturals(entry.get("shape"))
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise WeightsError(f"{name} is {dtype}, not one of {', '.join(DTYPES)}")
    begin, stop = _offsets(entry)
    if shape is None or math.prod(shape) * DTYPES[dtype].itemsize != stop - begin:
        raise WeightsError(f"damaged header: {name}'s shape does not fit its bytes")
    return shape


def _read_metadata(metadata: Any) -> tuple[NetworkConfig, dict[str, Any]]:
    """Config and provenance from a header's metadata."""
    if not isinstance(metadata, dict) or not isinstance(metadata.get("baryir"), str):
        raise WeightsError("no BaryIR metadata; these are weights of another program")
    try:
        entry = json.loads(metadata["baryir"])
        version, config, provenance = entry["format"], entry["config"], entry["provenance"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise WeightsError("damaged metadata: no format, config and provenance") from None
    if type(version) is not int or version < 1:
        raise WeightsError(f"damaged metadata: format {version!r}")
    if version > FORMAT:
        raise WeightsError(f"format {version} is newer than this program knows ({FORMAT}): upgrade")
    if not isinstance(provenance, dict):
        raise WeightsError("damaged metadata: provenance is not a JSON object")
    return NetworkConfig.from_dict(config), provenance


def _check_finite(state: Mapping[str, Tensor]) -> None:
    """As float32, which is what networks compute in."""
    for name, tensor in state.items():
        if not tensor.float().isfinite().all():
            raise WeightsError(f"{name} holds NaN or infinite values")
