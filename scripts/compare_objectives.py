"""Does the barycenter help? Paper's objective, reference code's, plain L1, at one small budget.

    python scripts/compare_objectives.py --train ../shared/data/Train --test ../shared/data/test \\
        --out runs/compare [--steps 3000] [--seeds 0 1 2]

The same network (a narrow ``small``), data, patches, optimiser and steps for all; only the
objective differs. PSNR on the five degradations that were trained on and on unseen ones: JPEG 10,
noise 75, underwater. A run that is there already is not done again, so that more seeds can be
added, and a stopped comparison goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

OBJECTIVES = {
    "paper": ["--config", "{recipe}"],
    "reference": ["--config", "{reference}"],
    "plain L1": ["--config", "{recipe}", "--losses", "none"],
}
RECIPE = """
objective = "{objective}"
preset = "small"
network = {{ width = 16 }}
stages = [{{ share = 1.0, patch = 64, batch = 12 }}]
noise_range = [15, 50]
learning_rate = 1e-3
map_weight = {map_weight}
gamma = {gamma}
weights = "{weights}"
fresh_latents = {fresh}
[sources]
denoise = {{ loss_weight = 4.0, paired_share = 0.0 }}
derain = {{ loss_weight = 4.0, paired_share = 0.1 }}
dehaze = {{ loss_weight = 2.0, paired_share = 0.0 }}
deblur = {{ loss_weight = 4.0, paired_share = 0.0 }}
lowlight = {{ loss_weight = 1.0, paired_share = 0.75 }}
"""
# The reference code's weight of L1 is 10000 beside an L_T of weight 1.
VALUES = {
    "recipe": {
        "objective": "paper",
        "map_weight": 5e-3,
        "gamma": 0.1,
        "weights": "proportion",
        "fresh": "false",
    },
    "reference": {
        "objective": "reference",
        "map_weight": 1e-4,
        "gamma": 0.05,
        "weights": "inverse",
        "fresh": "true",
    },
}
BENCHES = {"5d": [], "ood": [], "levels": ["--sets", "bsd68-75"]}


def baryir(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "baryir_cli", *map(str, arguments)], check=True)


def figures(args: argparse.Namespace, name: str, seed: int) -> dict[str, tuple[float, float]]:
    """Input and restored PSNR of every set, from a run that is made if it is not there."""
    run = args.out / f"{name.replace(' ', '-')}-{seed}"
    if not (run / "weights.safetensors").exists():
        options = [
            part.format(recipe=args.out / "recipe.toml", reference=args.out / "reference.toml")
            for part in OBJECTIVES[name]
        ]
        resume = ["--resume"] if (run / "checkpoints").exists() else []
        baryir(
            *("train", *options, *resume, "--steps", args.steps, "--seed", seed),
            *("--data", args.train, "--out", run),
        )
    found: dict[str, tuple[float, float]] = {}
    for bench, sets in BENCHES.items():
        result = run / f"{bench}.json"
        if not result.exists():
            baryir(
                *("eval", "--bench", bench, *sets, "--metrics", "psnr", "--data", args.test),
                *("--weights", run / "weights.safetensors", "--json", result, "--tile", 0),
            )
        for entry in json.loads(result.read_text())["sets"]:
            before, after = (
                statistics.mean(image[kind]["psnr"] for image in entry["images"])
                for kind in ("input", "restored")
            )
            found[entry["label"]] = (before, after)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/compare"))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for file, values in VALUES.items():
        (args.out / f"{file}.toml").write_text(RECIPE.format(**values))
    runs = {name: [figures(args, name, seed) for seed in args.seeds] for name in OBJECTIVES}
    print("| set | input | " + " | ".join(OBJECTIVES) + " |")
    print("|---" * (2 + len(OBJECTIVES)) + "|")
    first = next(iter(runs.values()))[0]
    for label, (before, _) in first.items():
        cells = []
        for name in OBJECTIVES:
            values = [run[label][1] for run in runs[name]]
            spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.2f}{spread}")
        print(f"| {label} | {before:.2f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
