"""Precisions are chosen by what makes a processor faster."""

from __future__ import annotations

import pytest
import torch

from models.hardware import gains_by_bf16


@pytest.mark.parametrize(
    ("amx", "avx512", "maker", "gains"),
    [
        (False, True, "AuthenticAMD", True),
        (False, True, "GenuineIntel", False),
        (True, True, "GenuineIntel", True),
        (False, False, "AuthenticAMD", False),
    ],
)
@pytest.mark.parametrize("system", ["Linux", "Windows"])
def test_bf16_gains_by_amx_or_on_amd(
    monkeypatch: pytest.MonkeyPatch, amx: bool, avx512: bool, maker: str, gains: bool, system: str
) -> None:
    def cpuinfo(*_: object, **__: object) -> str:
        if system == "Windows":
            raise FileNotFoundError
        return f"vendor_id\t: {maker}\n"

    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr("pathlib.Path.read_text", cpuinfo)
    monkeypatch.setattr("platform.processor", lambda: f"x64 Family 6 Model 207, {maker}")
    assert gains_by_bf16(torch.device("cpu")) == gains
