"""Degraded and black-and-white photographs, for the other scripts.

    python scripts/photographs.py FOLDER OUT

writes the photographs of FOLDER to OUT in black and white, as PNG.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from models.light import Pixels
from train import degradations
from train.folders import images_below
from train.images import ImageCache, decode


def degraded(clean: Pixels, kinds: str, rng: np.random.Generator) -> Pixels:
    """Degrades a photograph by ``kinds`` in sequence, written as for ``baryir degrade --type``.

    Args:
        clean: ``(H, W, C)``; with one channel, noise is the same in all.
    """
    image = degradations.degrade(degradations.floating(clean), degradations.parse(kinds), rng)
    return degradations.quantise(image)


def degraded_pairs(
    paths: Sequence[Path], kinds: str, images: ImageCache, *, seed: int = 0, in_grey: bool = False
) -> Iterator[tuple[Pixels, Pixels]]:
    """Degraded photographs and their targets, ``(H, W, 3)``; the n-th depends on n and the seed.

    Args:
        kinds: as for :func:`degraded`; empty to leave them clean.
        in_grey: whether they are black and white, with the same noise in all channels.
    """
    for number, path in enumerate(paths):
        target = grey(images.read(path)) if in_grey else images.read(path)
        rng = np.random.default_rng([seed, number])
        image = degraded(target, kinds, rng) if kinds else target
        repeats = 3 // target.shape[2]
        yield np.repeat(image, repeats, 2), np.repeat(target, repeats, 2)


def grey(photograph: Pixels) -> Pixels:
    """Converts to black and white (ITU-R 601), ``(H, W, 1)``."""
    return np.asarray(Image.fromarray(photograph).convert("L"))[..., None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for path in images_below(args.folder):
        Image.fromarray(grey(decode(path))[..., 0]).save(args.out / f"{path.stem}.png")


if __name__ == "__main__":
    main()
