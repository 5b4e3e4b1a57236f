"""Python on an emulated processor: AVX2, but neither AVX-512 nor VNNI (QEMU's user mode).

QEMU 7.2 translates each instruction, so that NumPy and onnxruntime choose the code that such a
processor gets and saturate where it does. One thread is as fast as several there.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CPU = "Haswell"
_QEMU = shutil.which("qemu-x86_64")

needs_emulator = pytest.mark.skipif(
    _QEMU is None or platform.machine() != "x86_64",
    reason="needs qemu-x86_64 on x86-64: apt-get install qemu-user",
)


def run_without_vnni(script: Path, *arguments: str) -> str:
    """Run a Python script on the emulated processor; return what it prints."""
    done = subprocess.run(
        [str(_QEMU), "-cpu", CPU, sys.executable, str(script), *arguments],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
