"""What flat surroundings keep a network from restoring.

    python scripts/measure_surroundings.py ../shared/data/test/denoise/bsd68 [--count 6]

Degrades photographs, 240 x 320 pixels of each, then lays flat parts over them, some with a little
grain. Prints PSNR of what is not covered, restored; the first row also shows it degraded.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from photographs import degraded_pairs

from baryir_cli.engine import Engine
from baryir_cli.metrics.psnr import psnr
from baryir_cli.weights.references import network_of
from models.light import Pixels
from train.folders import images_below
from train.images import ImageCache

HEIGHT, WIDTH = 240, 320
KINDS = ("noise:15", "noise:25", "rain", "haze", "lowlight:3", "blur")

Mask = NDArray[np.bool_]
Shape = Callable[[NDArray[np.float64], NDArray[np.float64]], Mask]
"""Whether places are flat; right and down, from -1 to 1."""


def slanted(x: NDArray[np.float64], y: NDArray[np.float64]) -> Mask:
    """Around a rectangle that is turned by three degrees."""
    turned = np.maximum(np.abs(x + 0.04 * y), np.abs(y - 0.07 * x))
    return np.asarray(turned > 0.88)


SHAPES: dict[str, Shape] = {
    "nothing flat": lambda x, _y: x > 1,
    "frame of 12 pixels": lambda x, y: (np.abs(x) > 1 - 24 / WIDTH) | (np.abs(y) > 1 - 24 / HEIGHT),
    "around a slanted print": slanted,
    "around an ellipse": lambda x, y: np.hypot(x, y) > 0.85,
    "page around a picture": lambda x, y: np.maximum(np.abs(x), np.abs(y)) > 0.55,
    "sky": lambda x, y: y < -0.4 + 0.15 * np.sin(6 * x) + 0.05 * np.sin(23 * x),
    "sign": lambda x, y: np.hypot(x - 0.1, y + 0.2) < 0.4,
}
GRAIN = 4
"""Deviation in 8-bit steps."""
SURFACES: dict[str, Pixels] = {
    "white": np.full((HEIGHT, WIDTH, 3), 255, np.uint8),
    "black": np.zeros((HEIGHT, WIDTH, 3), np.uint8),
    "grainy": np.random.default_rng(0).normal(200, GRAIN, (HEIGHT, WIDTH, 3)).astype(np.uint8),
}


def flat_parts(shapes: Sequence[str]) -> dict[str, tuple[Mask, Pixels]]:
    """Shapes with every surface by name; of what is nowhere flat, one."""
    x = (np.arange(WIDTH) + 0.5) / WIDTH * 2 - 1
    y = (np.arange(HEIGHT) + 0.5) / HEIGHT * 2 - 1
    masks = {name: SHAPES[name](*np.meshgrid(x, y)) for name in shapes}
    return {
        f"{name}, {kind}" if mask.any() else name: (mask, surface)
        for name, mask in masks.items()
        for kind, surface in SURFACES.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clean", type=Path)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--weights", default="small")
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    parser.add_argument("--shapes", nargs="+", default=[*SHAPES], choices=SHAPES)
    args = parser.parse_args()
    engine = Engine(network_of(args.weights), tile=0, precision="fp32")
    paths = images_below(args.clean)
    paths = paths[:: max(1, len(paths) // args.count)][: args.count]
    pairs = {kind: list(degraded_pairs(paths, kind, ImageCache())) for kind in args.kinds}
    print("| flat | " + " | ".join(args.kinds) + " |\n|---|" + "---|" * len(args.kinds))
    for name, (mask, surface) in flat_parts(args.shapes).items():
        cells = []
        for kind in args.kinds:
            found = []
            for image, target in pairs[kind]:
                image, target = image[:HEIGHT, :WIDTH].copy(), target[:HEIGHT, :WIDTH]
                before = psnr(image[~mask], target[~mask])
                image[mask] = surface[mask]
                found.append((before, psnr(engine.restore(image)[0][~mask], target[~mask])))
            before, after = np.mean(found, 0)
            cells.append(f"{after:.2f}" if mask.any() else f"{after:.2f} ({before:.2f})")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
