#!/usr/bin/env bash
# Copies today's training photographs; with four copies, they weigh about as much as those of 2001:
#
#   scripts/modern_photographs.sh DATA OUT COPIES
#
# DATA is a folder like data/Train, with cid22_* and clic_* beside bsds_* in Denoise. Train with
# --clean OUT. These are copies because baryir train counts links to one photograph only once.
set -euo pipefail
[ $# -eq 3 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$2"
for photograph in "$1"/Denoise/{cid22,clic}_*; do
    for copy in $(seq "$3"); do
        cp "$photograph" "$2/$copy-${photograph##*/}"
    done
done
