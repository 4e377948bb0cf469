#!/usr/bin/env bash
# All figures of docs/benchmarks.md for some weights, two processes of one thread each:
#
#   scripts/evaluate_embedded.sh WEIGHTS OUT [DATA]
#
# OUT then holds one JSON file a row group; DATA is laid out as ../shared/data/test.
set -euo pipefail
weights=$1 out=$2 data=${3:-../shared/data/test}
bsd68=$data/denoise/bsd68 rain=$data/derain/Rain100L
mkdir -p "$out"
export OMP_NUM_THREADS=1

measure() { baryir eval --weights "$weights" --tile 0 --metrics psnr,ssim --json "$out/$1.json" "${@:2}" >"$out/$1.txt"; }

three() {
    measure 3d --bench 3d --data "$data"
}
others() {
    baryir degrade "$rain/input" "$out/rain-noise" --type noise:15 --seed 0 --skip-existing >/dev/null
    measure rain-noise --input "$out/rain-noise" --target "$rain/target"
    measure 5d --bench 5d --data "$data" --sets lol-v1,gopro
    measure ood --bench ood --data "$data"
    measure levels --bench levels --sets bsd68-75 --data "$data"
    measure clean --input "$bsd68" --target "$bsd68"
}
three &
others
wait $!
