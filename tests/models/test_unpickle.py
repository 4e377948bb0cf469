"""Hostile checkpoints: all are refused in one line, nothing runs, memory stays bounded.

Every pickle here is put where the converter reads it, in both formats of ``torch.save``. Those that
would run something write a file, the canary; :func:`test_canaries_sing` proves that they would.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import random
import struct
import subprocess
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from models import content, torchfile, unpickle
from models.content import open_content
from models.convert import convert
from models.weights import WeightsError
from tests.models.checkpoints import archive, our_state, saved

HEAD = b"\x80\x02"
SEQUENTIAL = b"ctorch.nn.modules.container\nSequential\n"
DICT = b"ccollections\nOrderedDict\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
FLOATS = b"ctorch\nFloatStorage\n"
HASHES = (1 << 61) - 1
"""Python hashes whole numbers modulo this, so sets and dicts of its multiples are slow."""


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    """A number of any size and sign, as LONG1."""
    data = pickle.encode_long(value)
    return b"\x8a" + bytes([len(data)]) + data


def call(module: str, name: str, arguments: bytes) -> bytes:
    """A call of a name (REDUCE)."""
    return f"c{module}\n{name}\n".encode() + b"(" + arguments + b"tR"


def storage(
    kind: bytes = FLOATS, key: bytes = text("0"), count: int = 4, more: bytes = b""
) -> bytes:
    """Loads a storage by its persistent id."""
    return b"(" + text("storage") + kind + key + text("cpu") + number(count) + more + b"tQ"


def tensor(
    offset: int = 0,
    shape: tuple[int, ...] = (4,),
    stride: tuple[int, ...] = (1,),
    of: bytes | None = None,
    metadata: bytes = b"",
) -> bytes:
    sizes = b"".join(b"(" + b"".join(map(number, part)) + b"t" for part in (shape, stride))
    hooks = b"\x89" + DICT + b")R" + metadata
    return REBUILD + b"(" + (of or storage()) + number(offset) + sizes + hooks + b"tR"


def in_zip(path: Path, pickled: bytes) -> Path:
    return archive(path, pickled, {"data/0": b"\0" * 16})


def in_stream(path: Path, pickled: bytes) -> Path:
    """The older format; the hostile pickle is the fourth of its five."""
    start = saved(1, _use_new_zipfile_serialization=False)
    position = io.BytesIO(start)
    for _ in range(3):
        pickle.load(position)  # noqa: S301 - ours
    path.write_bytes(start[: position.tell()] + pickled + b"\x80\x02]X\x01\0\0\x000a.")
    return path


def alone(path: Path, pickled: bytes) -> Path:
    path.write_bytes(pickled)
    return path


PLACES = {"zip": in_zip, "stream": in_stream, "alone": alone}


def refused(path: Path, message: str | None = None) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        convert(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert said.isprintable()
    assert len(said) < len(str(path)) + 200


# --- pickles that would run something ----------------------------------------------------------


class Reduced:
    """Pickles as a call."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


def canaries(canary: Path) -> dict[str, bytes]:
    """Each creates the canary file if a careless reader loads it."""
    line = f"open({str(canary)!r}, 'w').close()"
    touch = f"touch '{canary}'"
    module = f"__import__('os').system({touch!r})"
    made = {
        "os.system": Reduced(os.system, touch),
        "eval": Reduced(eval, line),
        "exec": Reduced(exec, line),
        "getattr chain": Reduced(getattr(Path, "touch"), canary),  # noqa: B009
        "subprocess": Reduced(subprocess.call, ["touch", str(canary)]),
        "in a dict": {"params": {"a.weight": Reduced(eval, line)}},
        "as an argument": Reduced(print, Reduced(eval, line)),
        "map": Reduced(list, Reduced(map, eval, [line])),
    }
    pickles = {
        f"{name}, protocol {protocol}": pickle.dumps(value, protocol)
        for name, value in made.items()
        for protocol in (2, 4)
    }
    lines = text(line)
    return {
        **pickles,
        "getattr": HEAD
        + call("builtins", "getattr", call("builtins", "__import__", text("os")) + text("system"))[
            :-2
        ]
        + b"tR("
        + text(touch)
        + b"tR.",
        "INST": b"(" + lines + b"ibuiltins\neval\n.",
        "OBJ": b"(cbuiltins\neval\n" + lines + b"o.",
        "dotted name": b"\x80\x04"
        + text("os")
        + text("path.os.system")
        + b"\x93("
        + text(touch)
        + b"tR.",
        "state of a function": HEAD + b"cbuiltins\neval\n(" + lines + b"tR}b.",
        "python 2": HEAD + b"c__builtin__\neval\n(" + lines + b"tR.",
        "code": HEAD + call("builtins", "eval", text(module)) + b".",
    }


def test_canaries_sing(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for name, pickled in canaries(canary).items():
        # Only their side effect matters, not what they return.
        with contextlib.suppress(AttributeError, TypeError):
            pickle.loads(pickled)  # noqa: S301
        assert canary.exists(), name
        canary.unlink()


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_nothing_runs(tmp_path: Path, place: Callable[[Path, bytes], Path]) -> None:
    canary = tmp_path / "canary"
    for pickled in canaries(canary).values():
        refused(place(tmp_path / "x.pt", pickled))
    assert sorted(tmp_path.iterdir()) == [tmp_path / "x.pt"]


NAMES = """
    builtins.eval builtins.exec builtins.compile builtins.open builtins.getattr builtins.setattr
    builtins.__import__ builtins.map builtins.filter builtins.type builtins.object builtins.print
    builtins.frozenset builtins.list builtins.dict builtins.bytearray builtins.super
    os.system posix.system nt.system subprocess.Popen subprocess.check_output pty.spawn
    runpy.run_path importlib.import_module pickle.loads marshal.loads types.CodeType
    types.FunctionType functools.partial operator.attrgetter operator.methodcaller
    copyreg._reconstructor copyreg.__newobj__ _codecs.encode codecs.decode webbrowser.open
    torch.load torch.save torch.compile torch.hub.load torch.hub.load_state_dict_from_url
    torch.jit.load torch.storage._load_from_bytes torch.serialization.load torch.ops.load_library
    torch.utils.cpp_extension.load torch.utils.collect_env.run torch._utils._rebuild
    torch._utils._rebuild_sparse_tensor torch._utils._rebuild_qtensor torch._utils.__import__
    torch._tensor._rebuild_from_type_v2 torch._C._jit_pass_inline torch.package.PackageImporter
    torch.nn.modules.utils._pair torch.nn.modules.module.register_module_forward_hook
    torch.nn.Module torch.nn.functional.relu torch.nn.modulesx.Thing model_baryx.Net
    model_bary.main model_bary.os.system __main__.Net numpy.load numpy.dtype
    numpy.core.multiarray._reconstruct numpy.core.multiarray.scalar pathlib.PosixPath
    argparse.Namespace
"""


@pytest.mark.parametrize("name", NAMES.split())
def test_names_that_are_not_allowed_are_refused(tmp_path: Path, name: str) -> None:
    module, _, function = name.rpartition(".")
    pickled = HEAD + f"c{module}\n{function}\n.".encode()
    refused(
        in_zip(tmp_path / "x.pt", pickled), rf"the pickle names {name}, which .* nothing was run"
    )
    pickled = b"\x80\x04" + text(module) + text(function) + b"\x93."
    refused(in_zip(tmp_path / "x.pt", pickled), "nothing was run")


HOSTILE: dict[str, tuple[bytes, str]] = {
    "method of an allowed class": (
        b"\x80\x04" + text("torch.nn.modules.container") + text("Sequential.append") + b"\x93.",
        "names torch.nn.modules.container.Sequential.append",
    ),
    "name with a control character": (
        b"\x80\x04" + text("os") + text("sys\x1b[2J\ntem") + b"\x93.",
        r"names os.sys\\x1b\[2J\\ntem",
    ),
    "name that is not text": (b"\x80\x04K\x01K\x02\x93.", "a name that is not text"),
    "class called": (SEQUENTIAL + b")R.", "a call of torch.nn.modules.container.Sequential"),
    "text called": (text("x") + b")R.", "a call of str"),
    "called with a list": (DICT + b"]R.", "wrong arguments"),
    "called with too many": (DICT + b"(]]tR.", "wrong arguments"),
    "instance with arguments": (SEQUENTIAL + b"K\x01\x85\x81.", "instance with arguments"),
    "instance of a function": (DICT + b")\x81.", "an instance of Call"),
    "state that calls": (
        SEQUENTIAL + b")\x81}" + text("__setstate__") + b"Nsb.",
        "sets __setstate__ of a module",
    ),
    "class changed": (SEQUENTIAL + b"}" + text("forward") + b"Nsb.", "a state for torch.nn"),
    "function changed": (DICT + b"}" + text("run") + b"Nsb.", "a state for Call"),
    "tensor changed": (tensor() + b"}b.", "a state for StoredTensor"),
    "list changed": (b"]}b.", "a state for list"),
    "state with slots": (SEQUENTIAL + b")\x81N}\x86b.", "a state that is not a dict"),
    "class among the items": (SEQUENTIAL + b"K\x01K\x02s.", "an item for"),
    "append to a tuple": (b")K\x01a.", "an append to tuple"),
    "member of a list": (b"](K\x01\x90.", "a member for list"),
    "NEWOBJ_EX": (SEQUENTIAL + b")}\x92.", "opcode NEWOBJ_EX"),
    "INST": (b"(ios\nsystem\n.", "opcode INST"),
    "OBJ": (b"(" + SEQUENTIAL + b"o.", "opcode OBJ"),
    "EXT1": (b"\x82\x01.", "opcode EXT1"),
    "EXT2": (b"\x83\x01\x00.", "opcode EXT2"),
    "EXT4": (b"\x84\x01\x00\x00\x00.", "opcode EXT4"),
    "PERSID": (b"P0\n.", "opcode PERSID"),
    "BYTEARRAY8": (b"\x96" + b"\0" * 8 + b".", "opcode BYTEARRAY8"),
    "NEXT_BUFFER": (b"\x97.", "opcode NEXT_BUFFER"),
    "READONLY_BUFFER": (b"N\x98.", "opcode READONLY_BUFFER"),
    "no such opcode": (b"\xff.", "damaged pickle"),
    "nothing": (b"", "damaged pickle"),
    "no end": (b"}", "damaged pickle"),
    "empty stack": (b".", "the stack is empty"),
    "below the mark": (b"N(\x85.", "the stack is empty"),
    "no mark": (b"t.", "no mark"),
    "unknown memo": (b"h\x09.", "a place in the memo is empty"),
    "key without value": (b"(Nd.", "a key without a value"),
    "text without end": (b"X\xff\xff\xff\xffabc.", "damaged pickle"),
    "text of 2^62": (b"\x8d" + struct.pack("<Q", 1 << 62) + b"abc.", "damaged pickle"),
    "bytes of 2^63": (b"\x8e" + struct.pack("<Q", 1 << 63) + b"abc.", "damaged pickle"),
    "number of 2 GB": (b"\x8b\xff\xff\xff\x7f\x01.", "damaged pickle"),
    "LONG4": (b"\x8b\x04\0\0\0\1\1\1\1.", "opcode LONG4"),
    "digits without end": (b"L" + b"9" * 100_000 + b"L\n.", "damaged pickle"),
    "surrogates": (b"X\x03\0\0\0\xed\xa0\x80" + text("y") + b"\x93.", r"names \\ud800.y"),
    "list as key": (b"}]Ns.", "a key that is neither"),
    "deep key": (b"}" + b")" + b"\x85" * 100_000 + b"Ns.", "a key that is neither"),
    "deep list": (b"]" * 50_000 + b"a" * 49_999 + b".", "nested too deeply"),
    "list in itself": (b"]q\x00h\x00a.", "nested too deeply"),
    "long name": (b"}" + text("x" * 5000) + tensor() + b"s.", "a name of 5000 characters"),
    "long path": ((b"}" + text("x" * 250)) * 6 + b"N" + b"s" * 6 + b".", "a name of 1254 char"),
    "tuple as key": (b"}" + b"K\x01\x85" + b"Ns.", "a key that is neither"),
    "keys of one hash": (
        b"}(" + b"".join(number(i * HASHES) + b"N" for i in range(200_000)) + b"u.",
        r"a key beyond 2\*\*60",
    ),
    "members of one hash": (b"\x8f(" + number(-HASHES) + b"\x90.", r"a key beyond 2\*\*60"),
    "memo of one hash": (
        b"N" + b"".join(b"p%d\n" % (i * HASHES) for i in range(200_000)) + b".",
        "an invalid place in the memo",
    ),
    "negative place in the memo": (b"Np-1\n.", "an invalid place in the memo"),
    "set of lists": (call("builtins", "set", b"]]a") + b".", "a key that is neither"),
    "set of text": (
        call("builtins", "set", text("abc")) + b".",
        "a set that is not made from a list",
    ),
    "dict of triples": (
        call("collections", "OrderedDict", b"]" + b"NNN\x87" + b"a") + b".",
        "a dict that is not made of pairs",
    ),
    "size of text": (call("torch", "Size", text("abc")) + b".", "a size that is not a tuple"),
    "parameter of text": (
        call("torch._utils", "_rebuild_parameter", text("abc") + b"\x89}") + b".",
        "a parameter of str",
    ),
}


@pytest.mark.parametrize(("pickled", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_pickles_are_refused(tmp_path: Path, pickled: bytes, message: str) -> None:
    refused(in_zip(tmp_path / "x.pt", HEAD + pickled), message)


ENTRIES = b"}(" + b"".join(text(str(i)) + b"N" for i in range(1000)) + b"uq\x00"
ENDLESS = {
    "opcodes": b"N0" * 10_000,
    "copies of a list": b"(" + b"N" * 1000 + b"lq\x00" + b"ctorch\nSize\nh\x00\x85R0" * 50,
    "copies of a dict": ENTRIES + b"0" + (SEQUENTIAL + b")\x81h\x00b0") * 50,
}


@pytest.mark.parametrize("pickled", ENDLESS.values(), ids=ENDLESS)
def test_steps_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pickled: bytes) -> None:
    """Steps bound what a pickle makes, copies included."""
    monkeypatch.setattr(unpickle, "MAX_STEPS", 12_000)
    refused(in_zip(tmp_path / "x.pt", HEAD + pickled + b"N."), "more than 12000 steps")


def test_a_billion_laughs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists that each hold the one before ten times: small in the memo, endless to walk."""
    monkeypatch.setattr(content, "MAX_VALUES", 10_000)
    laughs = b"]" + text("ha") + b"aq\x00"
    for level in range(1, 30):
        laughs += (
            b"]("
            + b"h"
            + bytes([level - 1])
            + (b"h" + bytes([level - 1])) * 9
            + b"eq"
            + bytes([level])
        )
    modules = SEQUENTIAL + b")\x81q\x00"
    for level in range(1, 30):
        pairs = b"".join(text(str(i)) + b"h" + bytes([level - 1]) for i in range(10))
        modules += (
            SEQUENTIAL + b")\x81}" + text("_modules") + b"}(" + pairs + b"usbq" + bytes([level])
        )
    for pickled in (laughs, modules):
        tracemalloc.start()
        refused(
            in_zip(tmp_path / "x.pt", HEAD + pickled + b"."),
            "too many values, or nested too deeply",
        )
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 10 << 20


# --- tensors that lie --------------------------------------------------------------------------

TENSORS: dict[str, tuple[bytes, str]] = {
    "beyond the storage": (tensor(shape=(5,)), "larger than its storage"),
    "offset beyond": (tensor(offset=1), "larger than its storage"),
    "stride beyond": (tensor(shape=(2,), stride=(4,)), "larger than its storage"),
    "endless by stride 0": (tensor(shape=(1 << 40,), stride=(0,)), "larger than its storage"),
    "twice by stride 0": (tensor(shape=(5, 1), stride=(0, 1)), "larger than its storage"),
    "negative size": (tensor(shape=(-4,)), "an invalid shape"),
    "negative stride": (tensor(stride=(-1,)), "an invalid shape"),
    "negative offset": (tensor(offset=-1), "an invalid shape"),
    "overflow": (tensor(shape=(1 << 62, 1 << 62), stride=(1, 1)), "an invalid shape"),
    "overflow to nothing": (tensor(shape=(1 << 47, 1 << 47), stride=(1, 1)), "larger than"),
    "too many dimensions": (tensor(shape=(1,) * 99, stride=(1,) * 99), "do not match"),
    "strides missing": (tensor(shape=(2, 2)), "do not match"),
    "conjugated": (tensor(metadata=b"}" + text("conj") + b"\x88s"), "conjugated"),
    "of no storage": (tensor(of=text("0")), "a tensor in str"),
    "storage of a class": (tensor(of=storage(SEQUENTIAL)), "storage of type torch.nn"),
    "storage of a type": (tensor(of=storage(b"ctorch\nfloat32\n")), "storage of type str"),
    "complex": (tensor(of=storage(b"ctorch\nComplexFloatStorage\n")), "names torch.Complex"),
    "quantised": (tensor(of=storage(b"ctorch\nQUInt8Storage\n")), "names torch.QUInt8"),
    "negative count": (storage(count=-4), "an invalid storage"),
    "count of 2^60": (storage(count=1 << 60), "an invalid storage"),
    "more than the entry": (storage(count=5), "differ in size"),
    "less than the entry": (storage(count=3), "differ in size"),
    "no such entry": (storage(key=text("1")), "lacks data/1"),
    "path": (storage(key=text("../../../../etc/passwd")), "lacks data/../../../../etc/passwd"),
    "absolute path": (storage(key=text("/etc/passwd")), "lacks data//etc/passwd"),
    "key that is not text": (storage(key=b"K\x00"), "an invalid storage"),
    "described twice": (
        storage() + b"0" + storage(b"ctorch\nIntStorage\n"), "described in two ways"
    ),
    "id that is text": (text("0") + b"Q", "an invalid persistent id"),
    "id of another kind": (b"(" + text("file") + text("/etc/passwd") + b"tQ", "an invalid persist"),
    "id with more": (storage(more=b"N"), "an invalid persistent id"),
}  # fmt: skip


@pytest.mark.parametrize(("pickled", "message"), TENSORS.values(), ids=TENSORS)
def test_tensors_that_lie_are_refused(tmp_path: Path, pickled: bytes, message: str) -> None:
    refused(in_zip(tmp_path / "x.pt", HEAD + pickled + b"."), message)


def test_wrong_storages_of_a_stream_are_refused(tmp_path: Path) -> None:
    def write(pickled: bytes) -> Path:
        return in_stream(tmp_path / "x.pt", HEAD + pickled + b".")

    refused(write(storage(more=b"(NNNt")), "written before PyTorch 0.4")
    refused(write(storage(more=b"N", key=text("7"))), "its list of storages does not match")
    refused(write(storage(more=b"N")), "cut short before storage 0")
    refused(
        write(b"(" + text("module") + text("os") + text("") + text("") + b"tQ"), "an invalid class"
    )


def test_a_stream_cut_short_is_refused(tmp_path: Path) -> None:
    """The storages' counts are right, but their bytes are missing."""
    path = tmp_path / "x.pt"
    data = saved({"a": torch.zeros(1000)}, _use_new_zipfile_serialization=False)
    path.write_bytes(data[:-2000])
    refused(path, "cut short: only .* bytes")


def test_many_tensors_in_one_storage_are_not_allocated(tmp_path: Path) -> None:
    """All 30 MB of the network lie in the same few bytes."""
    largest = max(our_state().values(), key=torch.Tensor.numel)
    shared = torch.zeros(largest.numel())
    state = {name: shared[: t.numel()].view(t.shape) for name, t in our_state().items()}
    path = tmp_path / "x.pt"
    path.write_bytes(saved(state))
    refused(path, "claim more bytes than the file has")


# --- archives ----------------------------------------------------------------------------------


def test_a_pickle_may_be_larger_than_a_directory(tmp_path: Path) -> None:
    """The limit for the list of entries does not bind the pickle, which is read."""
    long = b"}" + text("log") + text("y" * (torchfile.MAX_DIRECTORY + 1000)) + b"s."
    refused(in_zip(tmp_path / "x.pt", HEAD + long), "no BaryIR network")


def zipped(path: Path, entries: list[tuple[str, bytes]], compression: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in entries:
            file.writestr(name, data)
    return path


def test_a_zip_bomb_is_not_inflated(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "x.pt", [("a/data.pkl", b"N" * (64 << 20))], zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 1 << 20
    tracemalloc.start()
    refused(bomb, "compressed or encrypted")
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    entries = [("a/data.pkl", HEAD + tensor() + b"."), ("a/data/0", b"\0" * 16)]
    refused(zipped(bomb, entries, zipfile.ZIP_LZMA), "compressed or encrypted")


def test_pickles_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchfile, "MAX_BYTES", 1000)
    refused(in_zip(tmp_path / "x.pt", HEAD + b"N0" * 1000 + b"N."), "data.pkl has 2004 bytes")
    refused(in_stream(tmp_path / "x.pt", HEAD + b"N0" * 1000 + b"N."), "damaged pickle")


def test_directories_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchfile, "MAX_DIRECTORY", 4000)
    entries = [("a/data.pkl", b"}.")] + [(f"a/data/{i}", b"") for i in range(100)]
    refused(zipped(tmp_path / "x.pt", entries), "list of entries exceeds 4000 bytes")


def test_nested_archives_are_refused(tmp_path: Path) -> None:
    inner = archive(tmp_path / "inner.zip", HEAD + call("os", "system", text("true")) + b".")
    path = zipped(tmp_path / "x.pt", [("a/inner.zip", inner.read_bytes())])
    refused(path, "no data.pkl")
    refused(zipped(path, [("a/data.pkl", inner.read_bytes())]), "refused|damaged")
    refused(zipped(path, [("a/b/data.pkl", b"}.")]), "no data.pkl")
    refused(zipped(path, [("../data.pkl", HEAD + b"}.")]), "no BaryIR network")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["inner.zip", "x.pt"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_odd_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    one = ("a/data.pkl", HEAD + b"}.")
    refused(zipped(path, [one, one]), "two entries with the same name")
    refused(zipped(path, [one, ("b/data.pkl", b"")]), "no data.pkl")
    refused(zipped(path, [one, ("a/byteorder", b"big")]), "big-endian")
    refused(zipped(path, [one, ("a/byteorder", b"b" * 99)]), "byteorder has 99 bytes")


def test_encrypted_entries_are_refused(tmp_path: Path) -> None:
    path = in_zip(tmp_path / "x.pt", HEAD + b"}.")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    refused(path, "compressed or encrypted")


def test_overlapping_entries_are_refused(tmp_path: Path) -> None:
    """A hundred entries share one megabyte; no more is read than the file has."""
    path = tmp_path / "x.pt"
    body = b"\0" * (1 << 20)
    keys = [str(i) for i in range(100)]
    items = b"".join(
        text(k) + tensor(shape=(1 << 18,), of=storage(key=text(k), count=1 << 18)) for k in keys
    )
    zipped(path, [("a/data.pkl", HEAD + b"}(" + items + b"u."), ("a/data/0", body)])
    data = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        place = file.getinfo("a/data/0").header_offset
        start = file.start_dir
    entry = data[data.index(b"PK\x01\x02", start + 4) : data.index(b"PK\x05\x06", start)]
    assert struct.unpack_from("<I", entry, 42) == (place,)
    first = data[start : data.index(b"PK\x01\x02", start + 4)]
    directory = first + b"".join(_renamed(entry, f"a/data/{k}".encode()) for k in keys)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 101, 101, len(directory), start, 0)
    path.write_bytes(data[:start] + directory + end)
    with pytest.raises(WeightsError, match="claim more bytes|damaged"):
        read_all(path)


def read_all(path: Path) -> int:
    """The bytes of all tensors of a file."""
    with open_content(path) as found:
        return sum(held.load().untyped_storage().nbytes() for held in found.tensors.values())


def _renamed(entry: bytes, name: bytes) -> bytes:
    return entry[:28] + struct.pack("<H", len(name)) + entry[30:46] + name


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    good = saved({"params": our_state()})
    path = tmp_path / "x.pt"
    middle = len(good) // 2
    path.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])
    refused(path, "damaged archive")
    for length in (3, 40, 1000, middle, len(good) - 1):
        path.write_bytes(good[:length])
        refused(path)


# --- at random ---------------------------------------------------------------------------------


@pytest.mark.parametrize("zipped_format", [True, False], ids=["zip", "stream"])
def test_random_damage_is_read_or_refused_in_one_line(tmp_path: Path, zipped_format: bool) -> None:
    value = {
        "epoch": 3,
        "params": {"a": torch.ones(3), "b": torch.ones(2, 2)},
        "more": [1.5, {"x"}],
    }
    good = saved(value, _use_new_zipfile_serialization=zipped_format)
    generator = random.Random(7)
    path = tmp_path / "x.pt"
    for _ in range(300):
        data = bytearray(good)
        for _ in range(generator.randint(1, 4)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        path.write_bytes(data)
        problem = ""
        try:
            assert read_all(path) <= len(data)
        except WeightsError as error:
            problem = str(error)
        assert "\n" not in problem


def test_limits_leave_room_for_the_authors_file() -> None:
    """It has 137,286 opcodes, 331,064 bytes and 2,128 values."""
    assert unpickle.MAX_STEPS > 5 * 137_286
    assert unpickle.MAX_BYTES > 5 * 331_064
    assert content.MAX_VALUES > 5 * 2128
    assert torchfile.MAX_DIRECTORY > 5 * 100_000
