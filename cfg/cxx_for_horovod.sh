#!/usr/bin/env bash
# The C++ compiler as Horovod's build calls it: older standards become gnu++20, and what newer
# compilers no longer include by themselves is included.
arguments=()
for argument in "$@"; do
    case $argument in
        -std=c++11 | -std=gnu++11 | -std=c++14 | -std=gnu++14) arguments+=(-std=gnu++20) ;;
        *) arguments+=("$argument") ;;
    esac
done
compiler=${HOROVOD_CXX:-g++}
if [ "$("$compiler" -dumpversion | cut -d. -f1)" -ge 13 ]; then
    arguments=(-include string -include cstdint "${arguments[@]}")
fi
exec "$compiler" "${arguments[@]}"
