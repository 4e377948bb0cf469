"""What a checkpoint holds, whoever wrote it: tensors by dotted name, and a few plain facts.

Modules, state dicts and whatever people wrap around them form a tree. A tensor's name is its path,
such as ``BaryIR.latent.0.attn.qkv.weight`` or ``state_dict.module.output.weight``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from models.config import NetworkConfig
from models.header import Entry, is_torch, quoted, read_entries, read_metadata
from models.torchfile import (
    Body,
    StoredTensor,
    open_torch,
    read_into,
)
from models.unpickle import Standin
from models.weights import DTYPES, WeightsError

MAX_VALUES = 100_000
"""Values in the tree, counted every time they occur; the authors' file has 2,128."""
MAX_DEPTH = 64
"""Levels of the tree."""
MAX_NAME = 1024
"""Characters of a path; some trainers use file names as keys."""
FACTS = ("epoch", "step", "global_step", "iter")
"""Counters beside the tensors that say how far training got."""

OTHER_FILES = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself: fetch it with git lfs"),
    (b"<!", "a web page, not a checkpoint: download it again, in a browser"),
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
)
"""What people have instead of a checkpoint, by its first bytes."""


@dataclass(frozen=True)
class Content:
    """A file's tensors, not yet read, and what it says about them."""

    tensors: dict[str, StoredTensor]
    size: int
    """Bytes of the file."""
    facts: dict[str, int] = field(default_factory=dict)
    """Those of :data:`FACTS` that the file has."""
    config: NetworkConfig | None = None
    """Only of weights in our own format, like ``provenance``."""
    provenance: dict[str, Any] | None = None


@contextmanager
def open_content(path: Path) -> Iterator[Content]:
    """Opens a file of ``torch.save`` or safetensors; its tensors can be loaded while it is open.

    Raises:
        WeightsError: the file is damaged or hostile, or of another kind.
        ConfigError: its config cannot be built.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        start = file.read(512)
        file.seek(0)
        if not is_torch(start):
            _refuse_other_files(start)
            yield _safetensors(file)
            return
    with open_torch(path) as root:
        yield Content(_flatten(root), os.path.getsize(path), _facts(root))


def _refuse_other_files(start: bytes) -> None:
    for beginning, what in OTHER_FILES:
        if start.startswith(beginning):
            raise WeightsError(what)
    if start[257:262] == b"ustar":
        raise WeightsError("a tar archive: unpack it, or save it again with PyTorch")
    # After the length of its header, a safetensors file has the header, a JSON object.
    if start[8:9] != b"{":
        raise WeightsError("neither a checkpoint of torch.save (.pt, .pth, .ckpt) nor safetensors")


def _safetensors(file: BinaryIO) -> Content:
    """The content of any safetensors file, with config and provenance if it is one of ours."""
    entries, metadata = read_entries(file)
    config, provenance = None, None
    if isinstance(metadata, dict) and "baryir" in metadata:
        config, provenance = read_metadata(metadata)

    def fill(name: str, target: memoryview) -> None:
        file.seek(entries[name].begin)
        read_into(target, file.read, name)

    size = os.fstat(file.fileno()).st_size
    body = Body(size, fill)
    tensors = {name: _stored(body, name, entry) for name, entry in entries.items()}
    return Content(tensors, size, {}, config, provenance)


def _stored(body: Body, name: str, entry: Entry) -> StoredTensor:
    shape = entry.shape
    strides = tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
    storage = body.storage(name, DTYPES[entry.dtype], entry.values)
    return StoredTensor(storage, 0, shape, strides)


def _flatten(root: Any) -> dict[str, StoredTensor]:
    """All tensors of a tree, whose values may contain each other, and even themselves."""
    found: dict[str, StoredTensor] = {}
    waiting = [("", root, 0)]
    values = 0
    while waiting:
        name, value, depth = waiting.pop()
        if isinstance(value, StoredTensor):
            if name in found:
                raise WeightsError(f"two tensors have the name {quoted(name)}")
            found[name] = value
            continue
        children = list(_children(value))
        values += len(children)
        if values > MAX_VALUES or depth > MAX_DEPTH:
            raise WeightsError("too many values, or nested too deeply: refused")
        for key, child in reversed(children):
            path = f"{name}.{key}" if name else str(key)
            if len(path) > MAX_NAME:
                raise WeightsError(f"a name of {len(path)} characters: refused")
            waiting.append((path, child, depth + 1))
    return found


def _children(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, Standin):
        parts = (value.state.get(part) for part in ("_parameters", "_buffers", "_modules"))
        return [item for part in parts if isinstance(part, dict) for item in part.items()]
    if isinstance(value, dict):
        return [(k, v) for k, v in value.items() if isinstance(k, (str, int))]
    if isinstance(value, (list, tuple)):
        return enumerate(value)
    return ()


def _facts(root: Any) -> dict[str, int]:
    found = {name: root.get(name) for name in FACTS} if isinstance(root, dict) else {}
    return {k: v for k, v in found.items() if type(v) is int and abs(v) < 1 << 63}
