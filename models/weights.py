"""The weights of a network: one safetensors file, with its config and where it comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from models.config import NetworkConfig
from models.files import replacing
from models.header import FORMAT, quoted, read_header, read_metadata, weights_errors

# The alias marks it as exported from here.
from models.header import WeightsError as WeightsError
from models.network import BaryIR, channels_last

DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
"""The types that tensors are stored as, by their safetensors name."""

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Weights:
    """A file's contents, checked: ``state`` fits a network of ``config``."""

    config: NetworkConfig
    provenance: dict[str, Any]
    state: dict[str, Tensor]
    sha256: str
    """Of the whole file."""

    @property
    def parameters(self) -> int:
        """Number of values in all tensors."""
        return sum(tensor.numel() for tensor in self.state.values())


def skeleton(config: NetworkConfig) -> BaryIR:
    """A network without memory for its parameters (device ``meta``)."""
    with torch.device("meta"):
        return BaryIR(config)


def expected_shapes(config: NetworkConfig) -> Shapes:
    """Names and shapes of the tensors of a network of ``config``."""
    return {name: tuple(t.shape) for name, t in skeleton(config).state_dict().items()}


def numbered(what: str, names: Sequence[str]) -> str:
    """For a message: how many tensors are, say, missing, and the first of them."""
    return f"{what} tensors: {len(names)}, first {quoted(names[0])}"


def check_shapes(found: Shapes, expected: Shapes) -> None:
    """Compares the tensors of a file or a state dict with a network's.

    Raises:
        WeightsError: a tensor is missing, unknown or has another shape; the first is named.
    """
    if missing := [name for name in expected if name not in found]:
        raise WeightsError(numbered("missing", missing))
    if unknown := sorted(set(found) - set(expected)):
        raise WeightsError(numbered("unknown", unknown))
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
    """Writes weights; the file is complete or absent, and equal contents make equal files.

    Args:
        state: the state dict of a network of ``config``.
        provenance: JSON values: sources, data, recipe, steps, figures, licence, date.
        dtype: one of :data:`DTYPES`, as which the tensors are stored.

    Raises:
        WeightsError: the state does not fit the config, or is not finite in ``dtype``; or the
            provenance could not be read again, for instance because it lists too many runs.
        OSError: the file cannot be written.
    """
    if dtype not in DTYPES.values():
        raise WeightsError(f"weights cannot be stored as {dtype}")
    check_shapes({name: tuple(t.shape) for name, t in state.items()}, expected_shapes(config))
    tensors = _apart({name: t.detach().cpu().to(dtype).contiguous() for name, t in state.items()})
    _check_finite(tensors, f" as {str(dtype).removeprefix('torch.')}")
    try:
        entry = json.dumps(
            {"format": FORMAT, "config": config.to_dict(), "provenance": dict(provenance)},
            sort_keys=True,
            allow_nan=False,
            separators=(",", ":"),
        )
    except (TypeError, ValueError) as error:
        raise WeightsError(f"provenance must be JSON values: {error}") from None
    metadata = {"baryir": entry}
    read_metadata(metadata)  # do not write what could not be read again
    _write(Path(path), tensors, metadata)


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that share no memory, as safetensors requires; later ones that do are copied."""
    taken: set[int] = set()
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage().data_ptr()
        if storage in taken:
            tensors[name] = tensor.clone()
        taken.add(storage)
    return tensors


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    with replacing(path) as temporary:
        # Directly to the file: bytes in between would double the memory.
        try:
            safetensors.torch.save_file(tensors, temporary, metadata)
        except SafetensorError as error:
            raise OSError(f"{path}: {error}") from None


def read_weights(path: Path) -> Weights:
    """Reads and checks weights; nothing is allocated before the header is checked.

    Raises:
        WeightsError: the file is missing or damaged, or its weights are not ours or too new.
    """
    with weights_errors(path), open(path, "rb") as file:
        header = read_header(file)
        shapes = {name: entry.shape for name, entry in header.tensors.items()}
        check_shapes(shapes, expected_shapes(header.config))
        file.seek(0)
        data = file.read()
        try:
            state = safetensors.torch.load(data)
        except SafetensorError as error:
            raise WeightsError(f"damaged safetensors file: {error}") from None
        _check_finite(state)
    sha256 = hashlib.sha256(data).hexdigest()
    return Weights(header.config, header.provenance, state, sha256)


def load_network(weights: Weights) -> BaryIR:
    """A network with these weights, ready to restore: float32, on the CPU, without gradients."""
    network = skeleton(weights.config)
    state = {name: t.float() for name, t in weights.state.items()}
    network.load_state_dict(state, assign=True)
    return channels_last(network).eval().requires_grad_(False)


def _check_finite(state: Mapping[str, Tensor], form: str = "") -> None:
    """Checks the values as float32, in which networks compute."""
    for name, tensor in state.items():
        if not tensor.float().isfinite().all():
            raise WeightsError(f"{name} holds NaN or infinite values{form}")
