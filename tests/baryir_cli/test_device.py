"""What is taken for a lack of memory."""

from __future__ import annotations

from baryir_cli.device import out_of_memory


def test_other_errors_are_not_taken_for_memory() -> None:
    assert out_of_memory(MemoryError())
    assert out_of_memory(RuntimeError("could not create a primitive"))
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not out_of_memory(RuntimeError("shapes do not match"))
