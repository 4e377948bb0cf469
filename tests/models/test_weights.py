"""Reading and writing weights, and every way a file can be wrong."""

from __future__ import annotations

import json
import math
import os
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models import weights as module
from models.header import MAX_HEADER, header_of, weights_errors
from models.network import build
from models.presets import preset
from models.weights import (
    WeightsError,
    load_network,
    read_weights,
    save_weights,
    skeleton,
)

CONFIG = preset("tiny")
EMBEDDED = sorted((Path(module.__file__).parent / "embedded").glob("*.safetensors"))
Header = dict[str, Any]


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    torch.manual_seed(3)
    return build(CONFIG).state_dict()


@pytest.fixture
def good(tmp_path: Path, state: dict[str, Tensor]) -> Path:
    path = tmp_path / "good.safetensors"
    save_weights(path, CONFIG, state, {"name": "good", "steps": 7})
    return path


def split(path: Path) -> tuple[Header, bytes]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join(path: Path, header: Any, body: bytes) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_weights_are_as_readable_as_other_files(tmp_path: Path, state: dict[str, Tensor]) -> None:
    before = os.umask(0o027)
    try:
        save_weights(tmp_path / "new.safetensors", CONFIG, state, {})
    finally:
        os.umask(before)
    assert (tmp_path / "new.safetensors").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["new.safetensors"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_weights_survive_a_round_trip(
    tmp_path: Path, state: dict[str, Tensor], dtype: torch.dtype
) -> None:
    path = tmp_path / "w.safetensors"
    provenance = {"sources": ["denoise"], "licence": "MIT", "who": "Émile"}
    save_weights(path, CONFIG, state, provenance, dtype)
    found = read_weights(path)
    assert (found.config, found.provenance) == (CONFIG, provenance)
    assert found.state.keys() == state.keys()
    for name, tensor in state.items():
        assert found.state[name].dtype == dtype
        assert torch.equal(found.state[name], tensor.to(dtype))
    assert list(tmp_path.iterdir()) == [path]


def test_older_files_get_the_values_of_their_time(good: Path) -> None:
    """Older files lack newer fields, which take the values that were fixed then."""
    header, body = split(good)
    entry = json.loads(header["__metadata__"]["baryir"])
    for field in ("map", "fed", "prompts", "prompt_size"):
        del entry["config"][field]
    header["__metadata__"]["baryir"] = json.dumps(entry)
    join(good, header, body)
    config = read_weights(good).config
    assert config == CONFIG
    assert (config.map, config.fed, config.prompts) == ("mdta", "bary_res", 0)


def test_a_loaded_network_gives_the_same_output(good: Path, state: dict[str, Tensor]) -> None:
    network, image = load_network(read_weights(good)), torch.rand(1, 3, 16, 24)
    assert not network.training
    assert not any(p.requires_grad or p.is_meta for p in network.parameters())
    assert network.head.project.weight.is_contiguous(memory_format=torch.channels_last)
    same = build(CONFIG)
    same.load_state_dict(state)
    torch.testing.assert_close(network(image).correction, same(image).correction)


def test_half_precision_loads_as_float32(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "half.safetensors"
    save_weights(path, CONFIG, state, {}, torch.float16)
    network = load_network(read_weights(path))
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_tensors_that_share_memory_are_stored_apart(
    tmp_path: Path, state: dict[str, Tensor]
) -> None:
    path = tmp_path / "tied.safetensors"
    one = next(name for name in state if name.endswith("norm1.weight"))
    other = one.replace("norm1", "norm2")
    long = torch.arange(state[one].numel() + 1.0)
    for shared in ({other: state[one]}, {one: long[1:], other: long[:-1]}):
        tied = state | shared
        save_weights(path, CONFIG, tied, {})
        found = read_weights(path).state
        assert all(torch.equal(found[name], tied[name]) for name in tied)


def test_equal_contents_make_equal_files(good: Path, state: dict[str, Tensor]) -> None:
    again = good.with_name("again.safetensors")
    save_weights(again, CONFIG, state, {"steps": 7, "name": "good"})
    assert again.read_bytes() == good.read_bytes()
    assert read_weights(again).sha256 == read_weights(good).sha256


def test_failed_write_leaves_the_old_file(
    good: Path, state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    before = good.read_bytes()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_weights(good, CONFIG, state, {})
    assert good.read_bytes() == before
    assert list(good.parent.iterdir()) == [good]


def refused(path: Path, message: str) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        read_weights(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


RAW: list[tuple[bytes, str]] = [
    (b"", "not a safetensors file"),
    (b"\0" * 20, "not a safetensors file"),
    (b"<!DOCTYPE html><html></html>", "not a safetensors file"),
    (b"version https://git-lfs.github.com/spec/v1", "not a safetensors file"),
    (b"PK\x03\x04" + b"\0" * 40, "PyTorch checkpoint"),
    (b"\x80\x02}q\x00.........", "PyTorch checkpoint"),
    (pickle.dumps({"a": 1}, 4), "PyTorch checkpoint"),
    ((MAX_HEADER + 1).to_bytes(8, "little") + b"{}", "the header has"),
    ((10 << 30).to_bytes(8, "little") + b"{}", "the header has 10737418240 bytes, more than"),
    ((64).to_bytes(8, "little") + b"{}", "cut short within the header"),
    ((0x280).to_bytes(8, "little") + b"{}", "cut short within the header"),  # not a pickle
    ((13).to_bytes(8, "little") + b'{"a":1,"a":2}', "header is not JSON"),
    ((9).to_bytes(8, "little") + b'{"a":NaN}', "header is not JSON"),
    ((4).to_bytes(8, "little") + b"{nop", "header is not JSON"),
    ((2).to_bytes(8, "little") + b"[]", "not a JSON object"),
    ((2).to_bytes(8, "little") + b"\xff\xfe", "header is not JSON"),
    ((60000).to_bytes(8, "little") + b"[" * 60000, "header is not JSON"),
]


@pytest.mark.parametrize(("data", "message"), RAW)
def test_files_that_are_not_safetensors_are_refused(
    tmp_path: Path, data: bytes, message: str
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    refused(path, message)


def test_the_header_length_may_look_like_a_pickle(good: Path, state: dict[str, Tensor]) -> None:
    header, body = split(good)
    text = json.dumps(header).encode()
    join(good, text.ljust(len(text) + (0x80 - len(text)) % 256), body)
    assert good.read_bytes()[0] == 0x80
    assert read_weights(good).state.keys() == state.keys()


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.safetensors", "no such file; check the path")
    refused(tmp_path, "a folder, not a file")


def test_a_truncated_body_is_refused(good: Path) -> None:
    good.write_bytes(good.read_bytes()[:-100])
    refused(good, "cut short: .* bytes of tensors")


def test_trailing_bytes_are_refused(good: Path) -> None:
    good.write_bytes(good.read_bytes() + b"1234")
    refused(good, "4 bytes follow")


NAME = "head.project.weight"


def _metadata(change: Callable[[Header], None]) -> Callable[[Header], None]:
    def apply(header: Header) -> None:
        entry = json.loads(header["__metadata__"]["baryir"])
        change(entry)
        header["__metadata__"]["baryir"] = json.dumps(entry)

    return apply


def _set(key: str, value: Any) -> Callable[[Header], None]:
    return lambda header: header[NAME].update({key: value})


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def _rename(header: Header) -> None:
    header["head.other.weight"] = header.pop(NAME)


def _name_for_the_terminal(header: Header) -> None:
    header["\x1b[2J\n" * 999] = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}


def _overlap(header: Header) -> None:
    """Puts every tensor on the first of the same size."""
    first: dict[int, list[int]] = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, stop = entry["data_offsets"]
            entry["data_offsets"] = first.setdefault(stop - begin, [begin, stop])


CHANGES: list[tuple[Callable[[Header], Any], str]] = [
    (lambda h: h.pop("__metadata__"), "no BaryIR metadata"),
    (lambda h: h["__metadata__"].pop("baryir"), "no BaryIR metadata"),
    (lambda h: h["__metadata__"].update(baryir="{"), "damaged metadata"),
    (lambda h: h["__metadata__"].update(baryir="[" * 100000), "damaged metadata"),
    (lambda h: h["__metadata__"].update(baryir="[1]"), "damaged metadata"),
    (_metadata(lambda e: e.pop("config")), "damaged metadata"),
    (_metadata(lambda e: e.update(provenance=3)), "provenance is not a JSON object"),
    (_metadata(lambda e: e.update(provenance=_nested(200))), "nested too deeply"),
    (_metadata(lambda e: e.update(provenance={"steps": 10**40})), "damaged metadata"),
    (lambda h: h["__metadata__"].update(baryir='{"a": 1e999}'), "damaged metadata"),
    (_metadata(lambda e: e.update(format=2)), "format 2 is newer"),
    (_metadata(lambda e: e.update(format="1")), "the format is not a positive whole number"),
    (_metadata(lambda e: e.update(config=[1])), "config must be a JSON object"),
    (_metadata(lambda e: e["config"].update(colour=1)), "unknown config field 'colour'"),
    (_metadata(lambda e: e["config"].update(width=-8)), "width -8: use"),
    (_metadata(lambda e: e["config"].update(width="x" * 9999)), r"width 'x{56}\.\.\.: use"),
    (_metadata(lambda e: e["config"].update(width=16)), "has shape"),
    (_metadata(lambda e: e["config"].update(map_blocks=3)), "missing tensors: 11, first stage"),
    (_metadata(lambda e: e["config"].update(map_blocks=1)), "unknown tensors: 11, first stage"),
    (_name_for_the_terminal, r"unknown tensors: 1, first \\x1b\[2J\\n.*\.\.\.$"),
    (_rename, rf"missing tensors: 1, first {NAME}"),
    (_set("dtype", "I32"), f"{NAME} is I32, not one of"),
    (_set("dtype", None), f"{NAME} is NoneType"),
    (_set("dtype", "\x1b[2J\n" * 999), rf"{NAME} is \\x1b\[2J\\n\\x1b"),
    *((_set("dtype", name), f"{NAME} is {name}") for name in ("F8_E4M3", "I64", "BOOL", "f32", "")),
    (_set("dtype", "F16"), "shape does not fit its bytes"),
    (_set("shape", [3, 1, 3, 3]), "shape does not fit its bytes"),
    (_set("shape", [-3, -8, 3, 3]), f"{NAME} has an invalid shape"),
    (_set("shape", [1 << 40, 1 << 40]), "shape does not fit its bytes"),
    (_set("shape", [99] * 100_000), f"{NAME} has an invalid shape"),  # its product takes long
    (_set("shape", [1 << 60, 0]), f"{NAME} has an invalid shape"),
    (_set("shape", [10**40]), "not JSON"),
    (_set("shape", [8, 3, 3, 3]), f"{NAME} has shape"),
    (_set("data_offsets", [0, 4]), "gaps or overlap"),
    (_overlap, "gaps or overlap"),
    (_set("data_offsets", [4]), "without offsets"),
    (_set("data_offsets", "ab"), "without offsets"),
    (_set("data_offsets", [1 << 60, 1 << 61]), "gaps or overlap"),
    (lambda h: h.update({NAME: 3}), "without offsets"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_wrong_headers_are_refused(
    good: Path, change: Callable[[Header], Any], message: str
) -> None:
    header, body = split(good)
    change(header)
    join(good, header, body)
    refused(good, message)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_one_value_that_is_not_finite_is_refused(good: Path, value: float) -> None:
    header, body = split(good)
    begin = header[NAME]["data_offsets"][0]
    damaged = body[:begin] + torch.tensor([value]).numpy().tobytes() + body[begin + 4 :]
    join(good, header, damaged)
    refused(good, f"{NAME} holds NaN or infinite")


def test_tensors_full_of_nan_are_refused(good: Path) -> None:
    header, body = split(good)
    join(good, header, b"\xff" * len(body))
    refused(good, "holds NaN or infinite")


def test_huge_header_is_not_read(tmp_path: Path) -> None:
    """A sparse file has the 10 GB that its header claims; reading them would take long."""
    path = tmp_path / "x.safetensors"
    with open(path, "wb") as file:
        file.write((10 << 30).to_bytes(8, "little") + b"{")
        file.truncate(8 + (10 << 30))
    tracemalloc.start()
    refused(path, "the header has 10737418240 bytes")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_errors_without_a_number_name_the_file() -> None:
    said = "^a file: of no number$"
    with pytest.raises(WeightsError, match=said), weights_errors(Path("a file")):
        raise OSError("of no number")


def test_the_header_says_where_the_tensors_are(good: Path, state: dict[str, Tensor]) -> None:
    header = header_of(good)
    assert (header.config, header.provenance) == (CONFIG, {"name": "good", "steps": 7})
    assert {n: e.shape for n, e in header.tensors.items()} == {
        n: tuple(t.shape) for n, t in state.items()
    }
    assert header.parameters == sum(t.numel() for t in state.values())
    entry, data = header.tensors[NAME], good.read_bytes()
    stored = bytearray(data[entry.begin :][: 4 * entry.values])
    found = torch.frombuffer(stored, dtype=torch.float32)
    assert torch.equal(found.reshape(entry.shape), state[NAME])


def test_saving_refuses_what_could_not_be_read(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(WeightsError, match="holds NaN"):
        save_weights(path, CONFIG, state | {NAME: state[NAME] + 1e6}, {}, torch.float16)
    with pytest.raises(WeightsError, match="unknown tensors: 1, first more"):
        save_weights(path, CONFIG, state | {"more": torch.zeros(1)}, {})
    with pytest.raises(WeightsError, match="cannot be stored as"):
        save_weights(path, CONFIG, state, {}, torch.int8)
    for provenance in ({"psnr": math.nan}, {"path": path}):
        with pytest.raises(WeightsError, match="JSON values"):
            save_weights(path, CONFIG, state, provenance)
    history: dict[str, Any] = {}
    for _ in range(80):
        history = {"start": history}
    with pytest.raises(WeightsError, match="nested too deeply"):
        save_weights(path, CONFIG, state, history)
    assert not list(tmp_path.iterdir())


def test_skeleton_takes_no_memory() -> None:
    assert all(t.is_meta for t in skeleton(preset("official")).state_dict().values())


@pytest.mark.skipif(not EMBEDDED, reason="no embedded weights in this checkout")
@pytest.mark.parametrize("path", EMBEDDED, ids=lambda p: p.name)
def test_embedded_weights_are_small_and_run(path: Path) -> None:
    assert path.stat().st_size <= 8 << 20
    found = read_weights(path)
    assert {"sources", "licence", "date"} <= found.provenance.keys()
    image = torch.rand(1, 3, found.config.multiple, 2 * found.config.multiple)
    assert load_network(found)(image).correction.isfinite().all()
