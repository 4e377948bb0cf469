"""Small checkpoints for the converter's tests, saved as the authors save theirs."""

from __future__ import annotations

import io
import sys
import types
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from models.config import NetworkConfig
from models.network import build
from models.official import UNUSED, official_name

SMALL = NetworkConfig(
    width=8, blocks=(1, 2, 1, 2), heads=(1, 2, 4, 4), refinement_blocks=1, map_blocks=2
)
"""A small version of the authors' network, with heads unlike any preset's."""


def our_state(config: NetworkConfig = SMALL, seed: int = 0) -> dict[str, Tensor]:
    """A network's state, with random values in place of the initial ones."""
    torch.manual_seed(seed)
    state = build(config).state_dict()
    return {name: torch.randn(t.shape) for name, t in state.items()}


def authors_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same state under the authors' names, with the six modules that they never use."""
    unused = {f"{name}weight": torch.ones(4, 4, 1, 1) for name in UNUSED}
    return {official_name(name): tensor for name, tensor in state.items()} | unused


@contextmanager
def model_bary() -> Iterator[types.ModuleType]:
    """The module of the authors' classes; it no longer exists when the checkpoint is read."""
    module = types.ModuleType("model_bary")
    sys.modules["model_bary"] = module
    try:
        yield module
    finally:
        del sys.modules["model_bary"]


def module_of(state: Mapping[str, Tensor], kinds: types.ModuleType, root: str) -> nn.Module:
    """A tree of modules that holds ``state``: PyTorch's convolutions, else the authors' classes."""
    tree = _new(kinds, root)
    for name, tensor in state.items():
        *path, leaf = name.split(".")
        node = tree
        for depth, part in enumerate(path):
            if part not in node._modules:
                last = depth == len(path) - 1
                node.add_module(part, _child(kinds, part, tensor if last else None))
            node = node._modules[part]
        node.register_parameter(leaf, nn.Parameter(tensor))
    return tree


def _child(kinds: types.ModuleType, part: str, tensor: Tensor | None) -> nn.Module:
    if tensor is not None and tensor.ndim == 4:
        outputs, inputs, side, _ = tensor.shape
        return nn.Conv2d(inputs, outputs, side, bias=False)
    if part == "body":
        layer = _new(kinds, "WithBias_LayerNorm")
        layer.normalized_shape = torch.Size([8])
        return layer
    return nn.Sequential() if part.isdigit() else _new(kinds, part.title())


def _new(kinds: types.ModuleType, name: str) -> nn.Module:
    if not hasattr(kinds, name):
        setattr(kinds, name, type(name, (nn.Module,), {"__module__": "model_bary"}))
    return getattr(kinds, name)()


def archive(path: Path, pickled: bytes, more: Mapping[str, bytes] | None = None) -> Path:
    """A file in PyTorch's zip format around a pickle that PyTorch did not write."""
    with zipfile.ZipFile(path, "w") as file:
        for name, data in {"data.pkl": pickled, "byteorder": b"little", **(more or {})}.items():
            file.writestr(f"archive/{name}", data)
    return path


def saved(value: object, **options: object) -> bytes:
    """What ``torch.save`` writes."""
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)  # type: ignore[arg-type]
    return buffer.getvalue()
