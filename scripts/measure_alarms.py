"""Counts the photographs that the scene judge would change, in colour, grey and toned.

    python scripts/measure_alarms.py ../shared/data/test/denoise/bsd68 MORE... [--weights small]

For clean photographs these are false alarms, for hazy and dark ones detections. A change counts if
it is not slight (baryir_cli/engine/passes.py), before any other step.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from photographs import grey

from baryir_cli.engine import passes
from baryir_cli.weights.references import network_of
from models.light import Pixels
from models.scene import picture_of
from train.folders import images_below
from train.images import ImageCache

TONES = {"grey": (1, 1, 1), "as scanned": (1.01, 1, 0.97), "sepia": (1.07, 0.95, 0.75)}


def toned(image: Pixels, tone: tuple[float, float, float]) -> Pixels:
    return (grey(image) * np.array(tone)).clip(0, 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--weights", default="small")
    args = parser.parse_args()
    network, images = network_of(args.weights), ImageCache()

    @torch.inference_mode()
    def is_changed(image: Pixels) -> bool:
        picture = torch.from_numpy(picture_of(image, network.config.scene) / 255)
        _, change = passes.judged(network.judge, picture.permute(2, 0, 1)[None])
        return not passes.is_slight(change)

    print(f"| folder | images | colour | {' | '.join(TONES)} |\n|{'---|' * (3 + len(TONES))}")
    for folder in args.folders:
        photographs = [images.read(path) for path in images_below(folder)]
        found = [sum(map(is_changed, photographs))]
        found += [sum(is_changed(toned(p, tone)) for p in photographs) for tone in TONES.values()]
        print(f"| {folder} | {len(photographs)} | {' | '.join(map(str, found))} |", flush=True)


if __name__ == "__main__":
    main()
