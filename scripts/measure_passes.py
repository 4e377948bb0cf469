"""What several passes over a photograph gain over one if it has several degradations.

    python scripts/measure_passes.py ../shared/data/test/denoise/bsd68 [--count 12]

Degrades clean photographs in one or several ways. Prints PSNR of the input, after one pass with the
scene judge, and after as many as the engine takes (baryir_cli/engine/passes.py), and their number.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest.mock import patch

import numpy as np
from photographs import degraded_pairs

from baryir_cli.engine import Engine, passes
from baryir_cli.metrics.psnr import psnr
from baryir_cli.weights.references import network_of
from models.light import Pixels
from train.folders import images_below
from train.images import ImageCache

MIXTURES = (
    "rain",
    "noise:25",
    "camera",
    "noise:25,jpeg:85",
    "haze",
    "lowlight:3",
    "rain,noise:15",
    "haze,noise:10",
    "lowlight:3,noise:10",
    "rain,haze",
    "rain,lowlight:3",
    "rain,haze,noise:10",
    "haze,jpeg:30",
    "blur,noise:10",
)


def after_one_pass(engine: Engine, image: Pixels) -> Pixels:
    """The image after one pass, with the judge's change unless it is slight."""
    # If every change counts as doubtful, one pass applies it.
    with patch.multiple(passes, MOST=1, is_doubtful=lambda _: True):
        return engine.restore(image)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clean", type=Path)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--weights", default="small")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    engine = Engine(network_of(args.weights), tile=0, precision="fp32")
    images = ImageCache()
    paths = images_below(args.clean)
    paths = paths[:: max(1, len(paths) // args.count)][: args.count]
    print("| degraded by | input | one pass | several | passes |\n|---|---|---|---|---|")
    for mixture in MIXTURES:
        rows = []
        for image, clean in degraded_pairs(paths, mixture, images, seed=args.seed):
            one = after_one_pass(engine, image)
            several, report = engine.restore(image)
            found = (psnr(each, clean) for each in (image, one, several))
            rows.append((*found, report.passes))
        means = " | ".join(f"{mean:.2f}" for mean in np.mean(rows, 0)[:3])
        print(f"| {mixture} | {means} | {np.mean(rows, 0)[3]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
