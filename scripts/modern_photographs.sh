#!/usr/bin/env bash
# More copies of the training photographs of today; with four, they count for about as much as those
# of 2001:
#
#   scripts/modern_photographs.sh DATA OUT COPIES
#
# DATA is a folder like data/Train, whose Denoise holds cid22_* and clic_* beside bsds_*. Train with
# --clean OUT. Copies, since of links to one photograph baryir train counts one.
set -euo pipefail
[ $# -eq 3 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$2"
for photograph in "$1"/Denoise/{cid22,clic}_*; do
    for copy in $(seq "$3"); do
        cp "$photograph" "$2/$copy-${photograph##*/}"
    done
done
