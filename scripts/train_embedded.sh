#!/usr/bin/env bash
# Trains the embedded weights for some minutes, on CPU or GPU. Call it again to continue.
#
#   scripts/train_embedded.sh DATA RUN MINUTES [OPTIONS of baryir train]
#
# DATA is a folder like data/Train. RUN is the run's folder. An existing run continues from its last
# checkpoint with its own recipe; a new one starts from the embedded weights with the recipe
# "small-rest". Give the same OPTIONS every time. When the minutes are over, or at Ctrl-C, it writes
# a checkpoint (three files below 16 MiB) and exits with success. On a GPU:
#
#   scripts/train_embedded.sh data/Train runs/gpu 9 --recipe small-gpu --workers 12
#
# Add --steps with the number that fits into that time (scripts/measure_training.py), because the
# learning rate falls until the last step.
#
# It needs no more than baryir's own dependencies.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
data=$(realpath "$1") run=$(realpath -m "$2") minutes=$3
shift 3
cd "$(dirname "$0")/.."

if compgen -G "$run/checkpoints/*/state.pt" > /dev/null; then
    what=(--resume)
else
    what=(--recipe small-rest --init small)
fi
# When interrupted, training writes a checkpoint and exits with 130; if timeout interrupted it, the
# exit code is 124. --foreground lets Ctrl-C reach it.
status=0
timeout --foreground --signal=INT "${minutes}m" \
    python3 -m baryir_cli train "${what[@]}" "$@" \
    --data "$data" --out "$run" --holdout 0 --keep 1 || status=$?
case $status in 0 | 124 | 130) ;; *) exit "$status" ;; esac
[ -d "$run/checkpoints" ] || exit "$status" # stopped before the first step
echo "$run: $(ls "$run/checkpoints" | tail -n 1) steps"
