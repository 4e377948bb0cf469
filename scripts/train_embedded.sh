#!/usr/bin/env bash
# Trains the embedded weights for some minutes, on whatever there is, and can be called again.
#
#   scripts/train_embedded.sh DATA RUN MINUTES [OPTIONS of baryir train]
#
# DATA is a folder like data/Train. RUN is the run's folder: a run that is there goes on from its
# last checkpoint, by its own recipe, another begins with the embedded weights and the recipe
# "small-rest"; say the same OPTIONS every time. When the minutes are over, or at Ctrl-C, it writes
# a checkpoint (three files below 16 MiB) and ends well. On a GPU:
#
#   scripts/train_embedded.sh data/Train runs/gpu 9 --recipe small-gpu --workers 12
#
# with --steps, as many as it does in that time (scripts/measure_training.py): the rate falls to the
# last of them.
#
# Nothing needs to be installed but what baryir depends on.
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
# Interrupted, it writes a checkpoint and ends with 130, and timeout with 124 where it was the one
# to interrupt. In the foreground, or Ctrl-C would not reach it.
status=0
timeout --foreground --signal=INT "${minutes}m" \
    python3 -m baryir_cli train "${what[@]}" "$@" \
    --data "$data" --out "$run" --holdout 0 --keep 1 || status=$?
case $status in 0 | 124 | 130) ;; *) exit "$status" ;; esac
[ -d "$run/checkpoints" ] || exit "$status" # stopped before the first step
echo "$run: $(ls "$run/checkpoints" | tail -n 1) steps"
