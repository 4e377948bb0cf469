"""Python code in the documents runs, and their figures are those of the embedded weights."""

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
