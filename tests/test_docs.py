"""The documents are true: their code runs, what they name exists, and the figures are those of the
embedded weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import skimage.data
from PIL import Image

from baryir_cli.weights.catalogue import embedded_weights
from baryir_cli.weights.figures import cell, titled

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
# What the log of training names may be gone since.
PAGES.remove("docs/training.md")
SOURCES = [
    str(path.relative_to(ROOT))
    for package in ("baryir_cli", "models", "train", "scripts")
    for path in sorted((ROOT / package).rglob("*.py"))
]
OUR_PATH = re.compile(r"(?<![\w./-])(?:baryir_cli|models|scripts|tests|train)/[\w./-]*\b/?")


def named_sections(page: str) -> list[tuple[str, str]]:
    """What a document or source names by page and heading, or by page and anchor."""
    text = (ROOT / page).read_text("utf-8")
    titles = re.findall(r'\b([a-z]+\.md)\)?,\s+"([^"]+)"', text)
    anchors = re.findall(r"\]\((?:docs/)?([a-z]+\.md)?#([^)]+)\)", text)
    found = [*((target, anchor(title)) for target, title in titles), *anchors]
    return [(f"docs/{target}" if target else page, name) for target, name in found]


def headings(page: str) -> set[str]:
    """The anchors of a document's headings."""
    lines = re.findall(r"^#+ (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    return set(map(anchor, lines))


def anchor(title: str) -> str:
    """The name that GitHub gives a heading."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", title.lower()))


def snippets(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "docs/restore.md", "docs/networks.md"])
def test_python_code_in_a_document_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photo = Image.fromarray(skimage.data.astronaut()[:64, :64])
    photo.save("photo.jpg")
    codes = snippets(page)
    assert codes
    for code in codes:
        names: dict[str, Any] = {"image": photo}
        exec(code, names)  # noqa: S102 (our own)
        assert "restored" in names


@pytest.mark.parametrize("page", ["README.md", "docs/benchmarks.md"])
def test_a_document_has_the_figures_of_the_embedded_weights(page: str) -> None:
    (weights,) = embedded_weights()
    assert weights.figures
    lines = (ROOT / page).read_text("utf-8").splitlines()
    for name, figures in weights.figures.items():
        row = next(line for line in lines if line.startswith(f"| {titled(name, figures)} |"))
        psnr = {cell(metric, figures) for metric in ("input_psnr", "psnr")}
        assert psnr <= set(row.strip("| ").split(" | ")), name


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_document_names_exist(page: str) -> None:
    named = OUR_PATH.findall((ROOT / page).read_text("utf-8"))
    assert not [path for path in named if not (ROOT / path).exists()]


@pytest.mark.parametrize("page", [*PAGES, *SOURCES])
def test_sections_that_are_referred_to_exist(page: str) -> None:
    for target, name in named_sections(page):
        assert name in headings(target), f"{target} has no such section"
