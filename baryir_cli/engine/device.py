"""Chooses device and precision, measures free memory, and recognises when it runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import psutil
import torch

from baryir_cli.errors import ArgumentError, UserError
from baryir_cli.limits import Precision, check_device
from models.hardware import gains_by_bf16, gains_by_fp16
from models.wording import choices

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(name: str) -> torch.device:
    """The device for ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        ArgumentError: unknown or missing device.
    """
    check_device(name)
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        problem = f"this PyTorch sees {count} CUDA devices; use cpu or auto"
        raise ArgumentError("device", name, problem)
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ArgumentError("device", name, "not available here; use cpu or auto")
    return torch.device(name)


def resolve_precision(name: str, device: torch.device) -> str:
    """``fp32``, ``bf16`` or ``fp16``; ``auto`` is the fastest on the device.

    Raises:
        ArgumentError: unknown precision.
    """
    if name not in get_args(Precision):
        raise ArgumentError("precision", name, f"use {choices(get_args(Precision))}")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "fp16"
    if device.type == "cpu" and gains_by_bf16(device):
        return "bf16"
    return "fp32"


def is_slowed_by(precision: str, device: torch.device) -> bool:
    """Whether a precision is slower than fp32 on the device, far slower if it is emulated."""
    gains = {"bf16": gains_by_bf16, "fp16": gains_by_fp16}
    return precision in gains and not gains[precision](device)


def free_memory(device: torch.device) -> int:
    """Bytes that can be allocated now, within the limit of a container (cgroup v2)."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    free = int(psutil.virtual_memory().available)
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = (int((group / f"memory.{f}").read_text()) for f in ("max", "current"))
        statistics = dict(map(str.split, (group / "memory.stat").read_text().splitlines()))
    except (OSError, ValueError):
        return free
    # Cached files count as used, but are freed when needed.
    return min(free, max(limit - used + int(statistics.get("inactive_file", 0)), 0))


def give_back(device: torch.device) -> None:
    """Frees memory of a GPU that PyTorch keeps for later."""
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).empty_cache()


@contextmanager
def lack_of_memory_as_user_error() -> Iterator[None]:
    """Makes one line of running out of memory inside."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise UserError(
            f"not enough memory ({str(error)[:120] or type(error).__name__})"
        ) from error


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the device or the machine is out of memory."""
    text = str(error).lower()
    return (
        isinstance(error, (torch.OutOfMemoryError, MemoryError))
        or "out of memory" in text
        or "can't allocate memory" in text
        or "could not create a primitive" in text  # oneDNN
        or "could not create a memory" in text
        or "insufficient memory" in text  # OpenCV
        or "bad_alloc" in text
        or "status_alloc_failed" in text  # cuBLAS, cuDNN
    )
