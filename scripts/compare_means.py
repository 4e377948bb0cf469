"""Compares means of weights on small parts of the test sets, to choose one for embedding.

    git show REVISION:models/embedded/small.safetensors > old.safetensors
    python scripts/compare_means.py ../shared/data/test \\
        --mean 0.6:runs/new/weights.safetensors 0.4:old.safetensors --mean 1:old.safetensors

A mean covers all but the scene judge and the finish, which come from ``--judge``. Prints PSNR in
dB, one column per set, in bfloat16 if the processor has it. Takes four to eight minutes per mean on
one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from export_weights import mean_of, share_of
from photographs import degraded_pairs

from baryir_cli.engine import Engine
from baryir_cli.metrics.psnr import psnr
from baryir_cli.weights.references import find_weights
from models.light import Pixels
from models.weights import load_network, read_weights
from train.folders import images_below, match_pairs
from train.images import ImageCache

CLEAN = "denoise/bsd68"
IMAGES = ImageCache()


@dataclass(frozen=True)
class Paired:
    """Every ``every``-th pair of a set; ``folders`` hold inputs and targets."""

    name: str
    every: int
    folder: str
    folders: tuple[str, str] = ("input", "target")

    def pairs(self, data: Path) -> Iterator[tuple[Pixels, Pixels]]:
        """Degraded photographs and their targets."""
        inputs, targets = (data / self.folder / name for name in self.folders)
        for image, target in match_pairs(inputs, targets)[:: self.every]:
            yield IMAGES.read(image), IMAGES.read(target)


@dataclass(frozen=True)
class Degraded:
    """Every ``every``-th clean photograph, degraded by ``kinds``; without, it stays clean.

    With ``grey``, photographs are black and white, with the same noise in all channels.
    """

    name: str
    every: int
    kinds: str = ""
    grey: bool = False

    def pairs(self, data: Path) -> Iterator[tuple[Pixels, Pixels]]:
        """Degraded photographs and their targets."""
        paths = images_below(data / CLEAN)[:: self.every]
        return degraded_pairs(paths, self.kinds, IMAGES, in_grey=self.grey)


PROBES = (
    Degraded("15", 4, "noise:15"),
    Degraded("25", 4, "noise:25"),
    Degraded("50", 4, "noise:50"),
    Degraded("25, JPEG 85", 4, "noise:25,jpeg:85"),
    Degraded("camera", 4, "camera"),
    Degraded("film", 4, "film"),
    Degraded("clean", 4),
    Paired("rain", 5, "derain/Rain100L"),
    Degraded("drops", 4, "rain:cover=0"),
    Paired("dark", 1, "lowlight", ("low", "high")),
    Paired("haze", 1, "dehaze"),
    Paired("UIEB", 1, "underwater"),
    Degraded("haze, 5", 4, "haze,noise:5"),
    Degraded("haze, 10", 4, "haze,noise:10"),
    Degraded("haze, camera", 4, "haze,camera"),
    Degraded("dark, 10", 4, "lowlight:3,noise:10"),
    Degraded("rain, 15", 4, "rain,noise:15"),
    Degraded("grey 25", 4, "noise:25", grey=True),
    Degraded("grey 50", 4, "noise:50", grey=True),
    Degraded("grey film", 4, "film", grey=True),
    Degraded("grey", 4, grey=True),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--judge", default="small", metavar="WEIGHTS")
    parser.add_argument(
        "--mean",
        dest="means",
        type=share_of,
        nargs="+",
        action="append",
        required=True,
        metavar="SHARE:WEIGHTS",
    )
    args = parser.parse_args()
    judge = read_weights(find_weights(args.judge).path)
    print(f"| the rest | {' | '.join(probe.name for probe in PROBES)} |")
    print("|---" * (len(PROBES) + 1) + "|")
    for wanted in args.means:
        rest, _ = mean_of(wanted, set(), judge=False)
        engine = Engine(load_network(replace(judge, state=judge.state | rest)), tile=0)
        cells = [" + ".join(f"{share:g} {path}" for share, path in wanted)]
        for probe in PROBES:
            found = [
                psnr(engine.restore(image)[0], target) for image, target in probe.pairs(args.data)
            ]
            cells.append(f"{np.mean(found):.2f}")
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
