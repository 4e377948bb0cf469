"""How often camera shake is found, what removing it gains, and how often it is found in error.

    python scripts/measure_shake.py CLEAN [FOLDER ...] [--count 30] [--seed 0]

Photographs of CLEAN, 512 pixels of each, are blurred like the training source ``deblur``, by
kernels that the search was not tuned for. PSNR is that of the deconvolved ones, without a network.
Then the photographs taken to be shaken are counted in each FOLDER and in CLEAN itself.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from skimage.metrics import peak_signal_noise_ratio

from models.deconvolution import deconvolved
from models.light import Image
from models.shake import find_shake
from train import degradations
from train.folders import images_below
from train.images import ImageCache

psnr = partial(peak_signal_noise_ratio, data_range=1)

SIDE = 512


def trial(sharp: Image, rng: np.random.Generator) -> tuple[bool, float, float]:
    """Whether the shake is found, the gain in decibels, and the gain with the true kernel."""
    blurred, kernel = degradations.random_shake(sharp, rng)
    blurred = degradations.floating(degradations.quantise(blurred))
    before = psnr(blurred, sharp)
    found = find_shake(blurred)
    gain = 0.0 if found is None else psnr(deconvolved(blurred, found), sharp) - before
    return found is not None, gain, psnr(deconvolved(blurred, kernel), sharp) - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clean", type=Path)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng, images = np.random.default_rng(args.seed), ImageCache()
    paths = images_below(args.clean)
    results = []
    for path in rng.choice(np.array(paths, object), args.count, replace=False):
        results.append(trial(degradations.floating(images.read(path)[:SIDE, :SIDE]), rng))
        print(f"{path.name}: found {results[-1][0]}, {results[-1][1]:+.2f} dB", flush=True)
    found, gains, possible = np.array(results, float).T
    print(
        f"{int(found.sum())} of {args.count} found, {gains.mean():+.2f} dB on average of all "
        f"({possible.mean():+.2f} with the true kernels); {int((gains < -0.1).sum())} worse"
    )
    for folder in (args.clean, *args.folders):
        all_of_it = images_below(folder)
        shaken = [path.name for path in all_of_it if find_shake(images.read(path)) is not None]
        print(f"{folder}: {len(shaken)} of {len(all_of_it)} taken to be shaken", *shaken)


if __name__ == "__main__":
    main()
