#!/usr/bin/env bash
# Make what the problem NAME needs: the package problems/NAME with its __init__.py, the real folders
# <data>/QuantLab/problems/NAME/data and <logs>/QuantLab/problems/NAME/logs on the storage that
# cfg/hard_folders.json names, and the links problems/NAME/data and problems/NAME/logs to them.
#
#   bash cfg/problem.sh NAME             make what is missing
#   bash cfg/problem.sh --relink NAME    the same, and turn links that point elsewhere (after
#                                        hard_folders.json was edited, say); moves no files
#
# Exit codes: 0 done (also when there was nothing to do), 2 an error, with nothing changed.
set -euo pipefail

here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
python=${PYTHON:-python3}

for argument in "$@"; do
    case $argument in
        -h | --help) sed -n '2,/^set /s/^# \{0,1\}//p' "$here/problem.sh"; exit 0 ;;
    esac
done
command -v "$python" > /dev/null || {
    echo "problem.sh: '$python' is not found; install Python 3, or set PYTHON" >&2
    exit 2
}
exec "$python" -B -I -S "$here/storage.py" problem.sh "$@"
