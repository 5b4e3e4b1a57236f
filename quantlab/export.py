"""From a network of PyTorch's to the files that it is deployed as."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab.deploy.folder import check_places, manifest, write_files
from quantlab.deploy.table import ARTEFACTS, artefacts_named
from quantlab.errors import UsageError, check_kind
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.program import Program


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written. hashes: the SHA-256 of each file by its path in the folder."""

    program: Program
    folder: Path
    hashes: Mapping[str, str]


def export_network(
    network: nn.Module,
    spec: InputSpec,
    folder: str | PathLike[str],
    *,
    to: str | Sequence[str] | None = None,
    samples: Tensor | NDArray[Any] | None = None,
    memory_bits: int = 32,
    sum_bits: int = 64,
) -> Exported:
    """Lower a network and write it, in place of what is there.

    spec, samples, memory_bits, sum_bits: as of `lower`. to: names of artefacts, such as
    `onnx-exact`; without them all whose packages are installed. Raises UsageError, before anything
    is written, for a network that cannot be lowered, a name that does not exist, packages that are
    missing and places where no file can be; OSError.
    """
    check_kind("folder", folder, str | PathLike, "a path")
    names = artefacts_named(to)
    if not names:
        raise UsageError(f"to: {to!r} given, at least one of {', '.join(ARTEFACTS)} allowed")
    program = lower(network, spec, samples, memory_bits=memory_bits, sum_bits=sum_bits)
    files: dict[str, bytes] = {}
    for name in names:
        files |= ARTEFACTS[name].files({"network": program}, {})
    check_places(files, Path(folder))
    write_files(files, Path(folder))
    return Exported(program=program, folder=Path(folder), hashes=manifest(files))
