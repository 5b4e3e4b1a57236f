"""What a verification writes down: what was compared, with what, where and what came out."""

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

import quantlab
from experiments.deployment.agreement import Agreement
from quantlab import backend
from quantlab.deploy.table import missing, packages
from quantlab.integer.file import tensor_hashes, to_bytes
from quantlab.integer.program import Program
from quantlab.integer.verify import Comparison

CERTIFICATE = "certificate.json"


def certificate(
    program: Program,
    images: Tensor,
    comparisons: Sequence[Comparison],
    found: Agreement | None = None,
) -> dict[str, Any]:
    """Return the certificate of a program as plain data.

    found: how far it agrees with the network, None if they were not compared.
    Hashes: SHA-256 of the program's file, of each tensor as it is stored, of the raw images.
    """
    return {
        "program_sha256": hashlib.sha256(to_bytes(program)).hexdigest(),
        "tensors_sha256": tensor_hashes(program),
        "samples": len(images),
        "samples_sha256": hashlib.sha256(images.numpy().tobytes()).hexdigest(),
        "engines": [asdict(comparison) for comparison in comparisons],
        **({} if found is None else {"against_fake_quantized": asdict(found)}),
        "versions": {"quantlab": quantlab.__version__}
        | {name: version(name) for name in ("numpy", "torch", *packages()) if not missing([name])},
        "machine": {
            "python": platform.python_version(),
            "cpu": _cpu(),
            "instruction_set": backend.isa(),
        },
    }


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
