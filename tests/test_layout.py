"""Imports run one way: baryir_cli -> train -> models (DESIGN section 2), also within baryir_cli."""

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

TOOL = ROOT / "baryir_cli"
LAYERS = (
    {"bands", "errors", "memory", "neighbours", "report"},
    {"limits", "shell", "stages"},
    {"images"},
    {"files"},
    {"engine", "hub", "seeds", "settings"},
    {"batch", "benches", "metrics"},
    {"file_report", "weights"},
    {"engine_options"},
    {"evaluation", "restorer", "training"},
    {"commands"},
    {"app"},
    {"__init__", "__main__"},
)
"""Modules and sub-packages of the tool, the lowest first. None imports one of its own layer."""
LEVELS = {part: level for level, parts in enumerate(LAYERS) for part in parts}
EXCEPTIONS = {
    # Any file may ask for the version, which is read from the installed package.
    ("app", "__version__"),
    ("evaluation", "__version__"),
    ("hub", "__version__"),
    # A command of its own, which leaves the user's folder as the tool does.
    ("metrics", "__main__"),
}
"""What may import what in spite of :data:`LAYERS`."""
TOOL_FILES = sorted(TOOL.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """What a file imports anywhere, even inside functions: modules, and names in packages."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def packages_of(path: Path) -> set[str]:
    """The top-level packages of what a file imports."""
    return {name.split(".")[0] for name in imported(path)}


def part_of(path: Path) -> str:
    """The module or sub-package of the tool to which a file belongs."""
    return path.relative_to(TOOL).with_suffix("").parts[0]


def parts_imported(path: Path) -> set[str]:
    """The other modules and sub-packages of the tool from which a file imports."""
    names = [name.split(".") for name in imported(path)]
    parts = {(name + ["__init__"])[1] for name in names if name[0] == "baryir_cli"}
    return parts - {part_of(path)}


@pytest.mark.parametrize(("package", "path"), FILES, ids=lambda v: getattr(v, "name", v))
def test_imports_run_one_way(package: str, path: Path) -> None:
    assert not packages_of(path) & FORBIDDEN[package]


@pytest.mark.parametrize("path", TOOL_FILES, ids=lambda path: str(path.relative_to(TOOL)))
def test_imports_within_the_tool_go_down(path: Path) -> None:
    part = part_of(path)
    upward = {
        other
        for other in parts_imported(path)
        if (part, other) not in EXCEPTIONS and LEVELS.get(other, len(LAYERS)) >= LEVELS[part]
    }
    assert not upward, "only lower layers may be imported"


def test_every_part_of_the_tool_has_one_layer_and_every_exception_a_use() -> None:
    assert sorted(part for parts in LAYERS for part in parts) == sorted(
        {part_of(path) for path in TOOL_FILES}
    )
    assert {
        (part_of(path), other) for path in TOOL_FILES for other in parts_imported(path)
    } >= EXCEPTIONS
