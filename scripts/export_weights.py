"""Turns the weights of a run into the embedded ones, with their figures in the metadata.

    python scripts/export_weights.py runs/small/weights.safetensors \\
        models/embedded/small.safetensors --figures 3d.json 5d.json

With --judges 0.7:new/weights.safetensors 0.3:old/weights.safetensors, the scene judge becomes the
mean of these judges by these shares; --rest does the same for everything else but the finish, which
stays the run's. If the weights were trained from each other, the mean learns from all and forgets
less (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).

The figures are the means in the files of ``baryir eval --json``. Settings that play no role in
training, the margin and the heads of residual blocks, come from the preset named like the target.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from baryir_cli.weights.provenance import runs
from models.presets import PRESETS
from models.weights import read_weights, save_weights
from train.initial import ancestry

DATA = (
    "1,231 clean photographs (BSDS500 without CBSD68, Rain100L and Rain100H; CLIC 2025; CID22; "
    "wallpapers of Ubuntu's communities), 185 LOL-v1 pairs, 10 rain pairs. Synthesised: noise "
    "(white, a camera's and film grain), rain, haze, blur and darkness. In the later runs a third "
    "of the degraded patches are stored as JPEGs, a fifth are black and white, half of the haze "
    "is noisy, half of the judge's darkness is backlit, drops of rain are short and thick as "
    "well, and a fifth of the scenes have flat parts. The last run had 480 drawings and 80 scenes "
    "under water too (scripts/drawings.py)"
)

BEGINNINGS = ("start", "recipe", "data", "judges", "rest")
"""Entries in the provenance that say how weights were made."""


def means(files: list[Path]) -> dict[str, dict[str, float | None]]:
    """By set: ``psnr``, ``input_psnr`` and so on, and the number of images."""
    figures: dict[str, dict[str, float | None]] = {}
    for path in files:
        for line in json.loads(path.read_text())["summary"]["lines"]:
            entry = figures.setdefault(line["set"], {"images": int(line["images"].split()[0])})
            entry[f"input_{line['metric']}"] = line["input"]
            entry[line["metric"]] = line["restored"]
    return figures


def share_of(text: str) -> tuple[float, Path]:
    """Splits ``SHARE:WEIGHTS``."""
    share, _, path = text.partition(":")
    return float(share), Path(path)


def mean_of(
    wanted: list[tuple[float, Path]], told: set[str], *, judge: bool
) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """The weighted mean of the judges, or of everything else, and the origins of its parts.

    Args:
        told: hashes of weights whose recipes are in the provenance already.
    """
    mean: dict[str, torch.Tensor] = {}
    origins = []
    files = [read_weights(path) for _, path in wanted]
    for (share, path), weights in zip(wanted, files, strict=True):
        if weights.config.difference(files[0].config):
            raise SystemExit(f"{path}: its network differs from the others'")
        for name, tensor in weights.state.items():
            # The finish belongs to one file's network, and scripts/fit_finish.py fits it anew.
            if name.startswith("judge.") == judge and not name.startswith("finish."):
                mean[name] = mean.get(name, 0) + share * tensor.float()
        own = ancestry(weights)
        # Their own ancestors are told only once, for the first.
        left_out = BEGINNINGS if own["sha256"] in told else ("start",)
        kept = {name: value for name, value in own.items() if name not in left_out}
        origins.append({"share": share, **kept})
    return mean, origins


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--figures", type=Path, nargs="*", default=[])
    for option in ("--judges", "--rest"):
        parser.add_argument(option, type=share_of, nargs="+", default=[], metavar="SHARE:WEIGHTS")
    args = parser.parse_args()
    shipped = PRESETS.get(args.target.stem)
    if shipped is None:
        parser.error(f"{args.target}: not named after a preset: {', '.join(PRESETS)}")
    weights = read_weights(args.weights)
    notes: dict[str, Any] = {
        "name": args.target.stem,
        "data": DATA,
        "licence": "MIT",
        "figures": means(args.figures),
    }
    state = weights.state
    earlier = (run["sha256"] for run in runs(weights.provenance)[1:])
    told = {weights.sha256, *earlier}
    for what, wanted in (("judges", args.judges), ("rest", args.rest)):
        if wanted:
            if abs(sum(share for share, _ in wanted) - 1) > 1e-6:
                parser.error(f"the shares of --{what} must add up to 1")
            part, notes[what] = mean_of(wanted, told, judge=what == "judges")
            state = state | part
    provenance = weights.provenance | notes
    # Residual blocks do not use heads.
    if replace(weights.config, heads=shipped.heads).difference(shipped):
        parser.error(f"{args.weights}: its network differs from preset {args.target.stem}")
    save_weights(args.target, shipped, state, provenance, torch.float16)
    print(f"{args.target}: {args.target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
