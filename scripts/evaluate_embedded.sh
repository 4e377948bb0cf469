#!/usr/bin/env bash
# Measures the quality of weights, with all figures of docs/benchmarks.md, in float32 by two
# processes of one thread each:
#
#   scripts/evaluate_embedded.sh WEIGHTS OUT [DATA]
#
# OUT gets the JSON and text of each baryir eval. DATA is laid out like ../shared/data/test.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
weights=$1 out=$2 data=${3:-../shared/data/test}
bsd68=$data/denoise/bsd68 rain=$data/derain/Rain100L
mkdir -p "$out"
export OMP_NUM_THREADS=1

measure() {
    baryir eval --weights "$weights" --tile 0 --precision fp32 --metrics psnr,ssim \
        --overwrite --json "$out/$1.json" "${@:2}" > "$out/$1.txt"
}

measure 3d --bench 3d --data "$data" &
# The sets of 5d that 3d lacks.
measure 5d --bench 5d --sets lol-v1,gopro --data "$data"
measure clean --input "$bsd68" --target "$bsd68"
measure ood --bench ood --data "$data"
measure levels --bench levels --sets bsd68-75 --data "$data"
baryir degrade "$rain/input" "$out/rain-noise" --type noise:15 --seed 0 --skip-existing > /dev/null
measure rain-noise --input "$out/rain-noise" --target "$rain/target"
# Black and white: the same noise in all channels.
python "$(dirname "$0")/photographs.py" "$bsd68" "$out/grey"
measure grey --input "$out/grey" --target "$out/grey"
for sigma in 15 25 50; do
    baryir degrade "$out/grey" "$out/grey-$sigma" --type "noise:$sigma" --seed 0 \
        --skip-existing > /dev/null
    measure "grey-$sigma" --input "$out/grey-$sigma" --target "$out/grey"
done
wait $!
