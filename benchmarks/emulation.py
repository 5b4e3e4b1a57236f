"""Python on an emulated processor: AVX2, but neither AVX-512 nor VNNI (QEMU's user mode).

QEMU 7.2 translates every instruction of the process, so that NumPy, onnxruntime and OpenVINO choose
the code that such a processor gets, and saturate where it does. One thread is as fast as several.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

CPU = "Haswell"
_QEMU = shutil.which("qemu-x86_64")
IS_THERE = _QEMU is not None and platform.machine() == "x86_64"
REMEDY = "needs qemu-x86_64 on x86-64: apt-get install qemu-user"


def run_emulated(script: Path, *arguments: str) -> str:
    """Run a Python script on the emulated processor; return what it prints.

    Raises RuntimeError with what it complained of if it fails.
    """
    done = subprocess.run(
        [str(_QEMU), "-cpu", CPU, sys.executable, str(script), *arguments],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{script.name} on an emulated {CPU}: {done.stderr}")
    return done.stdout
