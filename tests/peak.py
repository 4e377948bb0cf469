"""A process's peak memory, for scripts that tests start."""

from __future__ import annotations

from pathlib import Path


def peak_memory() -> int:
    """The most bytes that this process has held (Linux).

    Not ``ru_maxrss``, which begins with that of the process that started this one.
    """
    status = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
