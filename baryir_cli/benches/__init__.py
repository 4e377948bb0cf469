"""The paper's benchmarks: their sets, and finding these on disk. Does not import torch."""

from __future__ import annotations

from baryir_cli.benches.catalogue import (
    Bench,
    BenchSet,
    bench,
    bench_sets,
    benches,
    chosen_sets,
    paper_rows,
)
from baryir_cli.benches.find import FoundSet, Item, find_set, folder_set
from baryir_cli.benches.variants import limited, restored_elsewhere

__all__ = [
    "Bench",
    "BenchSet",
    "FoundSet",
    "Item",
    "bench",
    "bench_sets",
    "benches",
    "chosen_sets",
    "find_set",
    "folder_set",
    "limited",
    "paper_rows",
    "restored_elsewhere",
]
