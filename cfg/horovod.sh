#!/usr/bin/env bash
# Build Horovod from its source distribution into the environment of PYTHON (default: .venv).
#
#   bash cfg/horovod.sh            build, unless a working build is there
#   bash cfg/horovod.sh --force    build again (after a change of torch, say)
#
# Gloo is always built in; NCCL too where nvcc and a GPU are found. Horovod's own CMake files ask for
# C++14, torch's headers need a newer standard: cxx_for_horovod.sh translates the flag on the way to
# the compiler, so the source distribution builds unmodified.
set -euo pipefail

version=0.28.1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-$(dirname "$here")/.venv/bin/python}

fail() { echo "horovod.sh: $*" >&2; exit 2; }

works() { "$python" -c 'import horovod.torch as hvd, sys; sys.exit(not hvd.gloo_built())' 2>/dev/null; }

nccl_home() { # a folder with include/ and lib/libnccl.so, made from the wheel that torch brought
    local wheel home=$1
    wheel=$("$python" -c 'import nvidia.nccl as n; print(list(n.__path__)[0])') || return 1
    mkdir -p "$home/lib"
    cp -r "$wheel/include" "$home/"
    ln -sf "$wheel/lib/libnccl.so.2" "$home/lib/libnccl.so"
}

[ -x "$python" ] || fail "no Python at $python; run 'make setup' first, or set PYTHON"
[ "${1:-}" = --force ] || ! works || exit 0
for tool in g++ cmake make; do
    command -v $tool > /dev/null || fail "$tool is missing; sudo apt-get install g++ cmake make"
done
"$python" -c 'import cffi, cloudpickle, packaging, psutil, setuptools, torch, wheel' 2> /dev/null || fail \
    "$python lacks what the build imports: pip install -c constraints.txt torch \$(python cfg/requirements.py --packages build)"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOROVOD_WITH_PYTORCH=1 HOROVOD_WITHOUT_TENSORFLOW=1 HOROVOD_WITHOUT_MXNET=1
export HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_MPI=1
export CMAKE_POLICY_VERSION_MINIMUM=3.5 # Horovod's CMake files are older than CMake 4 allows
export MAKEFLAGS=-j$(nproc) CXX="$here/cxx_for_horovod.sh"
has_gpu=$("$python" -c 'import torch; print(int(torch.cuda.is_available()))')
if [ "$has_gpu" = 1 ] && command -v nvcc > /dev/null; then
    nccl_home "$work/nccl" || fail "a GPU and nvcc, but no NCCL: pip install the nvidia-nccl package"
    export HOROVOD_GPU_OPERATIONS=NCCL HOROVOD_NCCL_HOME="$work/nccl" HOROVOD_NCCL_LINK=SHARED
    HOROVOD_BUILD_CUDA_CC_LIST=$("$python" -c \
        'import torch; print("%d%d" % torch.cuda.get_device_capability())')
    export HOROVOD_BUILD_CUDA_CC_LIST CUDAHOSTCXX=${CUDAHOSTCXX:-$(command -v g++)}
fi

source=${HOROVOD_SDIST:-horovod==$version} # a file, where no package registry is reached
flags=()
[ "${1:-}" != --force ] || flags=(--force-reinstall --no-cache-dir --no-binary horovod)
echo "building Horovod $version (about 5 minutes on 2 cores)"
"$python" -m pip install --quiet --no-deps --no-build-isolation "${flags[@]}" "$source" \
    > "$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; fail "the build failed; its last lines stand above"; }
works || fail "Horovod was built but does not import: $("$python" -c 'import horovod.torch' 2>&1 | tail -n 1)"
