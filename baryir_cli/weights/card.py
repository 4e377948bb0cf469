"""The model card: the page of published weights on the Hub."""

from __future__ import annotations

from collections.abc import Sequence

from huggingface_hub import ModelCardData

from baryir_cli.hub.reference import MARK, TAG, HubReference
from baryir_cli.shell.markdown import as_markdown
from baryir_cli.shell.units import counted
from baryir_cli.weights import provenance
from baryir_cli.weights.figures import COUNT, cell, columns_of, heading, titled
from models.weights import Weights

_LICENCES = {
    *("apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-nc-4.0"),
    *("cc-by-nc-sa-4.0", "cc-by-sa-4.0", "gpl-3.0", "lgpl-3.0", "mit", "mpl-2.0", "openrail"),
    *("other", "unknown", "unlicense"),
}
"""The Hub's names of licences that are likely for weights."""

_DEGRADED = {
    "denoise": "noisy",
    "derain": "rainy",
    "dehaze": "hazy",
    "deblur": "blurred",
    "lowlight": "dark",
}
"""What the photographs of a source are."""


def model_card(reference: HubReference, weights: Weights, licence: str | None) -> str:
    """Writes the page in Markdown: usage, figures, origin, licence and config.

    Args:
        reference: where the weights will be.
        licence: its name; None if unknown.
    """
    parts = [
        f"---\n{_metadata(licence)}\n---",
        MARK,
        f"# {reference.repo.split('/')[1]}",
        f"BaryIR weights: they restore {_restored(weights)}photographs, blind.",
        f"    baryir restore in/ out/ --weights {reference}",
        *_figures(weights),
        f"## Origin\n\n{_origin(weights, licence)}",
        f"## Network\n\n{weights.parameters / 1e6:.2f} million parameters; the file's SHA-256 is"
        f" `{weights.sha256}`.",
        _table(["field", "value"], [[k, v] for k, v in weights.config.to_dict().items()]),
    ]
    return "\n\n".join(parts) + "\n"


def _restored(weights: Weights) -> str:
    """What the photographs are that the weights learned to restore, as far as it is known."""
    sources = provenance.sources(weights.provenance)
    found = [_DEGRADED[source] for source in sources if source in _DEGRADED]
    if not found:
        return ""
    *first, last = found
    return f"{', '.join(first)} and {last} " if first else f"{last} "


def _metadata(licence: str | None) -> str:
    data = ModelCardData(
        library_name=TAG, tags=[TAG, "image-restoration"], pipeline_tag="image-to-image"
    )
    name = (licence or "unknown").lower()
    data.license = name if name in _LICENCES else "other"
    if data.license == "other":
        data.license_name = licence
    return data.to_yaml()


def _figures(weights: Weights) -> list[str]:
    figures = provenance.figures(weights.provenance)
    columns = columns_of(figures)
    if columns in ([], [COUNT]):
        return []
    rows = [[titled(name, row), *(cell(c, row) for c in columns)] for name, row in figures.items()]
    return [
        "## Figures\n\nAs the file's own metadata states them.",
        _table(["set", *map(heading, columns)], rows),
    ]


def _origin(weights: Weights, licence: str | None) -> str:
    known = weights.provenance
    rows = [["licence", licence or "not stated"]]
    if sources := provenance.sources(known):
        rows.append(["trained on", ", ".join(sources)])
    converted = known.get("converted")
    if isinstance(converted, dict) and "file" in converted:
        rows.append(["converted from", f"{converted['file']}, SHA-256 {converted.get('sha256')}"])
    if data := provenance.data(known):
        rows.append(["data", "; ".join(data)])
    if "date" in known:
        rows.append(["date", known["date"]])
    if "steps" in known:
        before = len(provenance.runs(known)) - 1
        runs = f", after {counted(before, 'earlier run')}" if before > 0 else ""
        rows.append(["steps", f"{known['steps']}{runs}"])
    return _table(["", ""], rows)


def _table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(as_markdown, map(str, line)))} |" for line in lines)
