#!/usr/bin/env bash
# Make the replicas of the problems home on the storage that cfg/hard_folders.json names:
# <data>/QuantLab/problems and <logs>/QuantLab/problems.
#
#   bash cfg/storage.sh            make what is missing
#   bash cfg/storage.sh --adopt    the same, and take the storage over from another checkout
#
# A relative storage is relative to the checkout and is made; an absolute one must be there.
# Exit codes: 0 done (also when there was nothing to do), 2 an error, with nothing changed.
set -euo pipefail

here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
python=${PYTHON:-python3}

for argument in "$@"; do
    case $argument in
        -h | --help) sed -n '2,/^set /s/^# \{0,1\}//p' "$here/storage.sh"; exit 0 ;;
    esac
done
command -v "$python" > /dev/null || {
    echo "storage.sh: '$python' is not found; install Python 3, or set PYTHON" >&2
    exit 2
}
exec "$python" -B -I -S "$here/storage.py" storage.sh "$@"
