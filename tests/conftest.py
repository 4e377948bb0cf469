"""Fixtures for all tests."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from models.network import build
from models.presets import preset
from models.weights import save_weights

Run = Callable[..., int]


@pytest.fixture(autouse=True, scope="session")
def _receive_interrupts() -> None:
    """Background jobs and nohup ignore signals, and processes that tests start would too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _no_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides the settings of whoever runs the tests."""
    folder = str(tmp_path_factory.getbasetemp() / "no settings")
    monkeypatch.setattr("typer.get_app_dir", lambda _: folder)
    for name in ("BARYIR_WEIGHTS", "HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained weights of the ``tiny`` preset."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    config = preset("tiny")
    save_weights(path, config, build(config).state_dict(), {"name": "tiny"})
    return path


@pytest.fixture
def baryir(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line in this process and returns its exit code."""
    from baryir_cli.app import run

    def call(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["baryir", *map(str, arguments)])
        return int(run())

    return call


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Two threads on a busy machine wait for each other at every small step."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs draw no curves."""
    monkeypatch.setattr("train.curves.draw", lambda *_: None)
