"""Freed memory is kept between layers and given back between images."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROBE = """
import numpy as np, psutil
from baryir_cli.memory import keep_freed_memory, return_freed_memory

def resident():
    return psutil.Process().memory_info().rss >> 20

keep_freed_memory()
before = resident()
blocks = [np.ones(8 << 20, np.uint8) for _ in range(32)]
last = np.ones(1 << 20, np.uint8)
del blocks
kept = resident()
return_freed_memory()
print(kept - before, resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator only")
def test_freed_memory_is_kept_and_then_given_back() -> None:
    run = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    kept, given_back = map(int, run.stdout.split())
    assert kept > 240
    assert given_back < 16
