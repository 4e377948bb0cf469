"""Fits a network's finish (``models/finish.py``) to what it leaves of noise.

    python scripts/fit_finish.py WEIGHTS TARGET ../shared/data/Train/Denoise

Of every fifteenth BSDS photograph, the network restores a corner of 320 x 320 pixels with noise of
sigma 15, 25 and 50. TARGET gets the weights with the finish of the best mean PSNR. Takes some ten
minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from baryir_cli.benches.degrade import noisy
from baryir_cli.engine import Engine
from baryir_cli.engine.pixels import image_of
from models.finish import STEP, Finish, noise_of
from models.network import BaryIR
from models.weights import load_network, read_weights, save_weights
from train.images import decode

CORNER, PATCH, STEPS, RATE = 320, 160, 250, 0.012
SIGMAS = (15, 25, 50)
FIRST = 0.08
"""Where ``left`` begins."""
Example = tuple[Tensor, Tensor, float]
"""The clean photograph, what the network makes of the noisy one, and the noise it removed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("photographs", type=Path)
    args = parser.parse_args()
    weights = read_weights(args.weights)
    photographs = sorted(args.photographs.glob("bsds_*"))[::15]
    network = load_network(weights)
    network.finish = None
    groups = [examples(photographs, sigma, network) for sigma in SIGMAS]
    finish = fitted(groups)
    state = weights.state | {f"finish.{name}": value for name, value in finish.state_dict().items()}
    config = replace(weights.config, finish=True)
    origin = f"fitted to {len(photographs)} photographs with noise of sigma {SIGMAS}"
    provenance = weights.provenance | {"finish": origin}
    save_weights(args.target, config, state, provenance, torch.float16)


def examples(photographs: Sequence[Path], sigma: int, network: BaryIR) -> list[Example]:
    cpu = torch.device("cpu")
    engine = Engine(network, device="cpu", precision="fp32", tile=0)
    found = []
    for path in photographs:
        clean = decode(path)[:CORNER, :CORNER]
        degraded = noisy(clean, sigma, path.stem)
        restored, _ = engine.restore(degraded)
        target, image, before = (image_of(p, cpu) for p in (clean, restored, degraded))
        found.append((target, image, noise_of((before - image)[None])))
    return found


def fitted(groups: list[list[Example]]) -> Finish:
    """The finish for examples of several noise levels, which count alike."""
    rng = np.random.default_rng(0)
    finish = Finish()
    amplified = torch.zeros_like(finish.amplified).requires_grad_()
    left = torch.full_like(finish.left, FIRST).requires_grad_()
    optimiser = torch.optim.Adam([amplified, left], betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, STEPS, pct_start=0.15)
    for _ in range(STEPS):
        finish.amplified, finish.left = symmetric(amplified), symmetric(left)
        drawn = [group[rng.integers(len(group))] for group in groups for _ in range(3)]
        loss = torch.stack([loss_of(example, finish, rng) for example in drawn]).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            left.clamp_(min=0)
    finish.amplified, finish.left = symmetric(amplified).detach(), symmetric(left).detach()
    return finish


def loss_of(example: Example, finish: Finish, rng: np.random.Generator) -> Tensor:
    """Change of the log of the squared error of a patch, in its middle."""
    target, image, noise = example
    top, left = rng.integers(0, CORNER - PATCH + 1, 2)
    target, image = (whole[:, top : top + PATCH, left : left + PATCH] for whole in (target, image))
    wanted, before = (whole[:, STEP:-STEP, STEP:-STEP] for whole in (target, image))
    after = finish(image, noise)
    return ((after - wanted).square().mean() / (before - wanted).square().mean()).log()


def symmetric(values: Tensor) -> Tensor:
    """Frequencies down and across alike."""
    return (values + values.transpose(1, 2)) / 2


if __name__ == "__main__":
    main()
