"""Reads files of ``torch.save`` without running anything that they name.

A file's pickle becomes plain values, with a :class:`StoredTensor` for every tensor, which is read
only when it is loaded. There are two formats: the zip archive of PyTorch 1.6 and later, and the
stream before it. Tensors, parameters, containers and numbers are understood; the classes of
``torch.nn.modules`` and of the authors' ``model_bary`` become stand-ins (DESIGN section 5).
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from models.header import MAX_COUNT, MAX_DIMENSIONS, WeightsError, is_archive, quoted
from models.unpickle import MAX_BYTES, Call, Kind, damaged, key, refused, unpickle

MAX_DIRECTORY = 4 << 20
"""Bytes of an archive's list of entries; that of the authors' file has 0.1 MB."""
CHUNK = 1 << 20
"""Bytes to read at once."""
MAGIC = 0x1950A86A20F9469CFC6C
"""The first value of the older format."""

STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
MODULE_CLASSES = {("torch.nn.parallel.data_parallel", "DataParallel")}
"""Classes beyond ``torch.nn.modules`` and ``model_bary``: training on several GPUs adds one."""

Fill = Callable[[str, memoryview], None]
"""Reads the storage with this name into a buffer of its size."""


@contextmanager
def open_torch(path: Path) -> Iterator[Any]:
    """Opens the value that ``torch.save`` wrote; its tensors can be loaded while it is open.

    Raises:
        WeightsError: the file is damaged, of another kind, or names something that is not allowed.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        if not is_archive(file.read(4)):
            yield _Stream(file).root
            return
        with _broken_archives():
            archive = zipfile.ZipFile(_Bounded(file))
        with archive:
            yield _Archive(archive, _size(file)).root()


class Body:
    """The bytes of a file's tensors; whatever it claims, no more are read than the file has."""

    def __init__(self, size: int, fill: Fill) -> None:
        self.left = size
        self.fill = fill
        self.storages: dict[str, Storage] = {}

    def storage(self, name: str, dtype: torch.dtype, count: int) -> Storage:
        """The storage with this name, the same one for all tensors in it."""
        known = self.storages.setdefault(name, Storage(self, name, dtype, count))
        if (known.dtype, known.count) != (dtype, count):
            raise WeightsError(f"storage {quoted(name)} is described in two ways")
        return known


@dataclass(eq=False)
class Storage:
    """``count`` numbers in a row, which stay in the file until a tensor in them is loaded."""

    body: Body
    name: str
    dtype: torch.dtype
    count: int
    loaded: Tensor | None = None

    @property
    def nbytes(self) -> int:
        return self.count * self.dtype.itemsize

    def load(self) -> Tensor:
        """The numbers, ``(count,)``; they are read only once."""
        if self.loaded is None:
            self.body.left -= self.nbytes
            if self.body.left < 0:
                raise WeightsError("the tensors claim more bytes than the file has")
            values = torch.empty(self.count, dtype=self.dtype)
            if self.count:
                self.body.fill(self.name, values.view(torch.uint8).numpy().data)
            self.loaded = values
        return self.loaded


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor that is still in its file.

    Raises:
        WeightsError: the tensor reaches beyond its storage, or has more numbers.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        layout = (self.offset, *self.shape, *self.stride)
        if len(self.shape) != len(self.stride) or len(self.shape) > MAX_DIMENSIONS:
            damaged("a tensor whose shape and strides do not match")
        if not all(type(n) is int and 0 <= n < MAX_COUNT for n in layout):
            damaged("a tensor with an invalid shape")
        reach = sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))
        end = self.offset + reach + 1 if self.count else 0
        if max(end, self.count) > self.storage.count:
            damaged("a tensor larger than its storage")

    @property
    def count(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> torch.dtype:
        return self.storage.dtype

    def load(self) -> Tensor:
        """The tensor, a view of its storage."""
        return self.storage.load().as_strided(self.shape, self.stride, self.offset)


class _Bounded:
    """A file for :mod:`zipfile`, which otherwise reads a list of entries of any length at once."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size <= MAX_DIRECTORY:
            data = self.file.read(size if size >= 0 else MAX_DIRECTORY + 1)
            if len(data) <= MAX_DIRECTORY:
                return data
        raise WeightsError(f"the archive's list of entries exceeds {MAX_DIRECTORY} bytes")


class _Archive:
    """The zip format: ``NAME/data.pkl`` and one entry ``NAME/data/KEY`` per storage."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self.archive = archive
        self.size = size
        self.entries = {entry.filename: entry for entry in archive.infolist()}
        if len(self.entries) != len(archive.infolist()):
            raise WeightsError("the archive has two entries with the same name")
        self.folder = self._folder()
        self.body = Body(size, self._fill)

    def _folder(self) -> str:
        found = [n for n in self.entries if n.endswith("/data.pkl") and n.count("/") == 1]
        if len(found) != 1:
            raise WeightsError("a zip archive, but not a PyTorch checkpoint: it has no data.pkl")
        folder = found[0].removesuffix("data.pkl")
        if f"{folder}constants.pkl" in self.entries:
            raise WeightsError("a TorchScript program, not a checkpoint")
        return folder

    def root(self) -> Any:
        """The value of the pickle."""
        if f"{self.folder}byteorder" in self.entries and self._read("byteorder", 8) != b"little":
            raise WeightsError("written on a big-endian machine, which is not supported")
        return unpickle(io.BytesIO(self._read("data.pkl", MAX_BYTES)), find, self._persist)

    def _entry(self, name: str, most: int) -> zipfile.ZipInfo:
        entry = self.entries.get(self.folder + name)
        if entry is None:
            raise WeightsError(f"the archive lacks {quoted(name)}")
        # PyTorch compresses nothing, so no entry is larger than the file.
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise WeightsError(f"the archive's {quoted(name)} is compressed or encrypted: refused")
        if entry.file_size > most:
            raise WeightsError(f"the archive's {quoted(name)} has {entry.file_size} bytes: refused")
        return entry

    def _read(self, name: str, most: int) -> bytes:
        entry = self._entry(name, most)
        data = bytearray(entry.file_size)
        with _broken_archives(), self.archive.open(entry) as file:
            read_into(memoryview(data), file.read, name)
        return bytes(data)

    def _fill(self, name: str, target: memoryview) -> None:
        with _broken_archives(), self.archive.open(self._entry(f"data/{name}", self.size)) as file:
            read_into(target, file.read, f"data/{name}")

    def _persist(self, identity: Any) -> Storage:
        storage = _storage(self.body, identity, length=5)
        if self._entry(f"data/{storage.name}", self.size).file_size != storage.nbytes:
            raise WeightsError(f"storage {quoted(storage.name)} and its entry differ in size")
        return storage


@contextmanager
def _broken_archives() -> Iterator[None]:
    """Turns the errors of :mod:`zipfile` into ours."""
    try:
        yield
    except (WeightsError, MemoryError):
        raise
    except Exception as error:  # of many kinds: struct.error, BadZipFile, OSError, ...
        raise WeightsError(f"damaged archive: {quoted(str(error))}") from None


class _Stream:
    """The older format: five pickles, then the count and the bytes of one storage after another."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.body = Body(_size(file), self._fill)
        self.places: dict[str, int] = {}
        file.seek(0)
        stream = io.BytesIO(file.read(MAX_BYTES))
        self._check_start(*(unpickle(stream, find, self._persist) for _ in range(3)))
        self.root = unpickle(stream, find, self._persist)
        self._find_storages(unpickle(stream, find, self._persist), stream.tell())

    def _check_start(self, magic: Any, version: Any, system: Any) -> None:
        if magic != MAGIC or version != 1001 or type(system) is not dict:
            raise WeightsError("a pickle, but not one from torch.save")
        if system.get("little_endian") is not True:
            raise WeightsError("written on a big-endian machine, which is not supported")

    def _find_storages(self, names: Any, position: int) -> None:
        if type(names) is not list or {key(name) for name in names} != set(self.body.storages):
            damaged("its list of storages does not match its tensors")
        for name in names:
            storage = self.body.storages[name]
            self.file.seek(position)
            if self.file.read(8) != storage.count.to_bytes(8, "little"):
                raise WeightsError(f"cut short before storage {quoted(name)}, or damaged")
            self.places[name] = position + 8
            position += 8 + storage.nbytes
        if (size := _size(self.file)) < position:
            raise WeightsError(f"cut short: only {size} of {position} bytes")

    def _fill(self, name: str, target: memoryview) -> None:
        self.file.seek(self.places[name])
        read_into(target, self.file.read, f"storage {name}")

    def _persist(self, identity: Any) -> Any:
        # Classes of modules come with their source code, which is not needed here.
        if type(identity) is tuple and len(identity) == 4 and identity[0] == "module":
            return identity[1] if isinstance(identity[1], Kind) else damaged("an invalid class")
        storage = _storage(self.body, identity, length=6)
        if identity[5] is not None:
            raise WeightsError(
                "written before PyTorch 0.4, with storages within storages: not supported"
            )
        return storage


def read_into(target: memoryview, read: Callable[[int], bytes], name: str) -> None:
    """Fills a buffer piece by piece; ``name`` is what the error calls the data."""
    for start in range(0, len(target), CHUNK):
        wanted = min(CHUNK, len(target) - start)
        piece = read(wanted)
        if len(piece) != wanted:
            raise WeightsError(f"cut short within {quoted(name)}")
        target[start : start + wanted] = piece


def _storage(body: Body, identity: Any, length: int) -> Storage:
    """The storage for a persistent id ``("storage", type, key, location, count, ...)``."""
    if type(identity) is not tuple or len(identity) != length or identity[0] != "storage":
        damaged("an invalid persistent id")
    _, kind, name, _, count = identity[:5]
    if not isinstance(kind, _StorageKind):
        refused("a storage of type", kind)
    if not isinstance(name, str) or type(count) is not int or not 0 <= count < MAX_COUNT:
        damaged("an invalid storage")
    return body.storage(name, kind.dtype, count)


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


@dataclass(frozen=True)
class _StorageKind:
    """In place of a class of storages: its name and type."""

    name: str
    dtype: torch.dtype


def find(module: str, name: str) -> Any:
    """What a name in a pickle becomes: a stand-in for a class, or one of a few functions of ours.

    Raises:
        WeightsError: weights do not need this name.
    """
    if (known := _KNOWN.get((module, name))) is not None:
        return known
    package = module == "model_bary" or f"{module}.".startswith("torch.nn.modules.")
    plain = name.isidentifier() and name.lstrip("_")[:1].isupper()
    if (package and plain) or (module, name) in MODULE_CLASSES:
        return Kind(f"{module}.{name}")
    raise WeightsError(
        f"the pickle names {quoted(f'{module}.{name}')}, which weights do not need: refused, "
        "nothing was run; save the state dict alone"
    )


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any) -> StoredTensor:
    """``torch._utils._rebuild_tensor`` and ``_rebuild_tensor_v2``, without gradients and hooks."""
    if not isinstance(storage, Storage):
        refused("a tensor in", storage)
    if type(shape) is not tuple or type(stride) is not tuple:
        damaged("a tensor without shape or strides")
    if len(rest) > 2 and rest[2]:
        raise WeightsError("the pickle has a negated or conjugated tensor: not supported")
    return StoredTensor(storage, offset, shape, stride)


def _parameter(data: Any, *_: Any) -> StoredTensor:
    if not isinstance(data, StoredTensor):
        refused("a parameter of", data)
    return data


def _ordered_dict(items: Any = ()) -> dict[Any, Any]:
    if type(items) not in (list, tuple) or not all(
        type(pair) in (list, tuple) and len(pair) == 2 for pair in items
    ):
        damaged("a dict that is not made of pairs")
    return {key(name): value for name, value in items}


def _counter(items: Any = None) -> dict[Any, Any]:
    """Learning rate schedulers hold counters."""
    return items if type(items) is dict else {}


def _set(items: Any = ()) -> set[Any]:
    if type(items) not in (list, tuple):
        damaged("a set that is not made from a list")
    return set(map(key, items))


def _torch_size(items: Any = ()) -> tuple[Any, ...]:
    if type(items) not in (list, tuple):
        damaged("a size that is not a tuple")
    return tuple(items)


def _device(*_: Any) -> None:
    """Ignored: all tensors are loaded onto the CPU."""


_KNOWN: dict[tuple[str, str], Any] = {
    ("builtins", "set"): Call(_set, 0, 1),
    ("__builtin__", "set"): Call(_set, 0, 1),
    ("collections", "OrderedDict"): Call(_ordered_dict, 0, 1),
    ("collections", "Counter"): Call(_counter, 0, 1),
    ("torch", "Size"): Call(_torch_size, 0, 1),
    ("torch", "device"): Call(_device, 1, 2),
    ("torch._utils", "_rebuild_tensor"): Call(_tensor, 4, 4),
    ("torch._utils", "_rebuild_tensor_v2"): Call(_tensor, 6, 7),
    ("torch._utils", "_rebuild_parameter"): Call(_parameter, 3, 3),
    ("torch._utils", "_rebuild_parameter_with_state"): Call(_parameter, 4, 4),
    ("torch.nn.parameter", "Parameter"): Call(_parameter, 1, 2),
    **{("torch", name): _StorageKind(name, dtype) for name, dtype in STORAGES.items()},
    **{("torch", str(dtype)[6:]): str(dtype) for dtype in STORAGES.values()},
}
