"""Turns a checkpoint of ``baryir train`` into the embedded weights.

    python scripts/export_weights.py runs/small/last.pt models/embedded/small.safetensors \\
        --figures 3d.json 5d.json

The averaged weights, in half precision, with recipe, data and figures in the metadata. The
figures are the means of what ``baryir eval --json`` wrote.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from train.export import export_weights

DATA = (
    "429 clean photographs (BSDS500 without CBSD68, Rain100L and Rain100H; CLIC 2025; CID22), "
    "185 LOL-v1 pairs, 10 rain pairs; noise, rain, haze, blur and darkness synthesised"
)


def means(files: list[Path]) -> dict[str, dict[str, float | None]]:
    """By set: ``psnr``, ``input_psnr`` and so on, and how many images they are of."""
    figures: dict[str, dict[str, float | None]] = {}
    for path in files:
        for line in json.loads(path.read_text())["summary"]["lines"]:
            entry = figures.setdefault(line["set"], {"images": int(line["images"].split()[0])})
            entry[f"input_{line['metric']}"] = line["input"]
            entry[line["metric"]] = line["restored"]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--figures", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    figures = means(args.figures)
    args.target.parent.mkdir(parents=True, exist_ok=True)
    notes = {"data": DATA, "licence": "MIT", "figures": figures}
    export_weights(args.checkpoint, args.target, notes)
    print(f"{args.target}: {args.target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
