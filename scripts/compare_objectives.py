"""Does the barycenter help? Compares paper, reference code and plain L1 on a small budget.

    python scripts/compare_objectives.py --train ../shared/data/Train --test ../shared/data/test \\
        --out runs/compare [--steps 3000] [--seeds 0 1 2]

Network (a narrow ``small``), data, patches, optimiser and steps are the same; only the objective
differs. Two more runs use the paper's objective with the potentials on the latents of a second
forward, and with twenty times the weight of L_T. Prints PSNR on the five trained degradations and
on unseen ones: JPEG 10, noise 75, underwater. Existing runs are not repeated, so more seeds can be
added, and a stopped comparison continues.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from train.run import Run

RECIPE = """
preset = "small"
network = {{ width = 16 }}
stages = [{{ share = 1.0, patch = 64, batch = 12 }}]
noise_range = [15, 50]
optimiser = "adamw"
learning_rate = 1e-3
weight_decay = 1e-4
schedule = "cosine"
objective = "{objective}"
losses = {losses}
map_weight = {map_weight}
gamma = {gamma}
weights = "{weights}"
fresh_latents = {fresh_latents}
[sources]
denoise = {{ loss_weight = 4.0, paired_share = 0.0 }}
derain = {{ loss_weight = 4.0, paired_share = 0.1 }}
dehaze = {{ loss_weight = 2.0, paired_share = 0.0 }}
deblur = {{ loss_weight = 4.0, paired_share = 0.0 }}
lowlight = {{ loss_weight = 1.0, paired_share = 0.75 }}
"""
PAPER = {
    "objective": "paper",
    "losses": '["mwb", "irc", "bro"]',
    "map_weight": 5e-3,
    "gamma": 0.1,
    "weights": "proportion",
    "fresh_latents": "false",
}
OBJECTIVES = {
    "paper": PAPER,
    "paper, fresh latents": PAPER | {"fresh_latents": "true"},
    # In the reference code, L1 has weight 10000 and L_T weight 1.
    "reference": PAPER
    | {
        "objective": "reference",
        "map_weight": 1e-4,
        "gamma": 0.05,
        "weights": "inverse",
        "fresh_latents": "true",
    },
    "plain L1": PAPER | {"losses": "[]"},
    "paper, 20 x map": PAPER | {"map_weight": 0.1},
}
SEEN = "5d"
BENCHES = {SEEN: [], "ood": [], "levels": ["--sets", "bsd68-75"]}
Figures = dict[tuple[str, str], tuple[float, float]]
"""By bench and set: PSNR of the inputs and of the restored."""


def baryir(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "baryir_cli", *map(str, arguments)], check=True)


def run_of(out: Path, name: str, seed: int) -> Path:
    return out / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"


def figures(args: argparse.Namespace, name: str, seed: int) -> Figures:
    """PSNR on every set by a run, which is made if it does not exist."""
    run = run_of(args.out, name, seed)
    if not (run / "weights.safetensors").exists():
        recipe = run.with_suffix(".toml")
        recipe.write_text(RECIPE.format(**OBJECTIVES[name]))
        how = "--resume" if Run(run).last_checkpoint() else "--overwrite"
        baryir(
            *("train", "--config", recipe, how, "--steps", args.steps, "--seed", seed),
            *("--data", args.train, "--holdout", 0, "--out", run),
        )
    found: Figures = {}
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
            found[bench, entry["label"]] = (before, after)
    for kind in ("seen", "unseen"):
        pairs = [pair for (bench, _), pair in found.items() if (bench == SEEN) == (kind == "seen")]
        before, after = map(statistics.mean, zip(*pairs, strict=True))
        found["", f"mean of the {kind}"] = (before, after)
    return found


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{deviation}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/compare"))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    runs = {name: [figures(args, name, seed) for seed in args.seeds] for name in OBJECTIVES}
    print("| set | input | " + " | ".join(OBJECTIVES) + " |")
    print("|---" * (2 + len(OBJECTIVES)) + "|")
    for key, (before, _) in next(iter(runs.values()))[0].items():
        cells = [spread([run[key][1] for run in runs[name]]) for name in OBJECTIVES]
        print(f"| {key[1]} | {before:.2f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
