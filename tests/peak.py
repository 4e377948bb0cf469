"""A process's peak memory, for scripts that tests start."""

from __future__ import annotations

from pathlib import Path


def peak_memory() -> int:
    """This process's peak memory in bytes (Linux).

    ``ru_maxrss`` would not do: it starts at the parent process's peak.
    """
    status = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
