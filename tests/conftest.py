"""Fixtures that several tests share."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models.network import build
from models.presets import preset
from models.weights import save_weights

Run = Callable[..., int]


@pytest.fixture(autouse=True, scope="session")
def _heed_interrupts() -> None:
    """A test run in the background of a script ignores them, and so would its children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have set defaults of their own."""
    folder = str(tmp_path_factory.getbasetemp() / "no settings")
    monkeypatch.setattr("typer.get_app_dir", lambda _: folder)
    for name in ("BARYIR_WEIGHTS", "HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the ``tiny`` preset, not trained."""
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
