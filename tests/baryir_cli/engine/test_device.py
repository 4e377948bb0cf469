"""Which errors count as a lack of memory."""

from __future__ import annotations

from baryir_cli.engine.device import out_of_memory


def test_only_memory_errors_count_as_a_lack_of_memory() -> None:
    assert out_of_memory(MemoryError())
    assert out_of_memory(RuntimeError("could not create a primitive"))
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not out_of_memory(RuntimeError("shapes do not match"))
