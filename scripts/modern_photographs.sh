#!/usr/bin/env bash
# Four more copies of the training photographs of today, so that they count for about as much as those of 2001:
#
#   scripts/modern_photographs.sh DATA OUT
#
# DATA is a folder like data/Train, whose Denoise holds cid22_* and clic_* beside bsds_*. Train with --clean OUT.
# Copies, since of links to one photograph baryir train counts one.
set -euo pipefail
[ $# -eq 2 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$2"
for photograph in "$1"/Denoise/{cid22,clic}_*; do
    for copy in 1 2 3 4; do
        cp "$photograph" "$2/$copy-${photograph##*/}"
    done
done
