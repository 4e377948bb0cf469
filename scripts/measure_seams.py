"""What tiles cost compared with the whole image.

    python scripts/measure_seams.py --data ../shared/data/test [--tile 256] [--images 4]

Uses the first images of each set of bench 5d, the clean photographs of bsd68, and a smooth gradient
of 1200 x 900 pixels with tiles of the default size. Prints PSNR against the target, for the
gradient against the whole image's result; float32, embedded weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import numpy as np

from baryir_cli.benches import bench
from baryir_cli.engine import Engine
from baryir_cli.evaluation.load import load
from baryir_cli.evaluation.session import find_sets
from baryir_cli.metrics.psnr import psnr
from baryir_cli.weights.references import network_of
from models.network import BaryIR

Pairs = list[tuple[np.ndarray, np.ndarray]]
"""Images and what they should become."""


def engines(network: BaryIR, tile: int | None) -> list[Engine]:
    """Engines for the whole image and for tiles."""
    return [Engine(network, device="cpu", precision="fp32", tile=side) for side in (0, tile)]


def sets(data: Path, count: int) -> Iterator[tuple[str, Pairs]]:
    for found in find_sets(bench("5d"), data, [])[0]:
        loaded = [load(item, found.degradation) for item in found.items[:count]]
        pairs = [(x.degraded, x.target) for x in loaded if x.degraded is not None]
        yield found.label, [(image, target) for image, target in pairs if target is not None]
        if found.degradation is not None:
            yield "clean", [(target, target) for _, target in pairs if target is not None]


def gradient() -> np.ndarray:
    down, right = np.mgrid[0:900, 0:1200] / [[[900]], [[1200]]]
    colours = [30 + 150 * right, 50 + 150 * down, 90 + 45 * (right + down)]
    return np.stack(colours, 2).round().astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--images", type=int, default=4)
    args = parser.parse_args()
    network = network_of("small")
    print("| set | images | whole | tiles |\n|---|---|---|---|")
    for label, pairs in sets(args.data, args.images):
        means = [
            mean(psnr(engine.restore(x)[0], y) for x, y in pairs)
            for engine in engines(network, args.tile)
        ]
        print(f"| {label} | {len(pairs)} | " + " | ".join(f"{m:.2f}" for m in means) + " |")
    image = gradient()
    whole, tiled = (engine.restore(image)[0] for engine in engines(network, None))
    print(f"| gradient, against the whole | 1 | - | {psnr(tiled, whole):.2f} |")


if __name__ == "__main__":
    main()
