"""Imports run one way: baryir_cli -> train -> models (DESIGN section 2)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONSOLE = {"rich", "typer", "click", "PIL"}
FORBIDDEN = {"models": {"train", "baryir_cli"} | CONSOLE, "train": {"baryir_cli"} | CONSOLE}
FILES = [
    (package, path) for package in FORBIDDEN for path in sorted((ROOT / package).rglob("*.py"))
]


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports anywhere, even inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize(("package", "path"), FILES, ids=lambda v: getattr(v, "name", v))
def test_imports_run_one_way(package: str, path: Path) -> None:
    assert not imported(path) & FORBIDDEN[package]
