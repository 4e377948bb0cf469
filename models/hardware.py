"""Which precisions make a device faster."""

from __future__ import annotations

import platform
from pathlib import Path

import torch


def gains_by_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32.

    Without instructions for it, it is many times slower. Intel's AVX-512 has some, but can use half
    as many at a time, so there only AMX gains, which virtual machines may hide.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return True
    if getattr(torch.cpu, "_is_amx_tile_supported", bool)():
        return True
    return getattr(torch.cpu, "_is_avx512_bf16_supported", bool)() and not _made_by_intel()


def gains_by_fp16(device: torch.device) -> bool:
    """Whether float16 is faster than float32; on CPUs only AMX makes it so."""
    if device.type != "cpu":
        return True
    # Older versions of PyTorch do not tell.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_fp16"))


def _made_by_intel() -> bool:
    """Whether the CPU is Intel's: Windows tells in the processor's name, Linux in a file."""
    try:
        described = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        described = platform.processor()
    return "GenuineIntel" in described
