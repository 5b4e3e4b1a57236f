"""From a network of PyTorch's to the files that it is deployed as."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab.deploy.folder import check_places, manifest, only_writer, replace_files
from quantlab.deploy.table import ARTEFACTS, artefacts_named, options_for
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
    options: Mapping[str, str] | None = None,
) -> Exported:
    """Lower a network and write it, in place of what is there.

    spec, samples, memory_bits, sum_bits: as of `lower`. to: names of artefacts, such as
    `onnx-exact`; without them all whose packages are installed. options: of artefacts, by name,
    such as `{"encoding": "csr"}`. Raises UsageError, before anything is written, for a network that
    cannot be lowered, a name that does not exist, packages that are missing, places where no file
    can be, files in the folder of C that no export wrote, and while another process writes there;
    OSError.
    """
    check_kind("folder", folder, str | PathLike, "a path")
    names = artefacts_named(to)
    if not names:
        raise UsageError(f"to: {to!r} given, at least one of {', '.join(ARTEFACTS)} allowed")
    asked = options_for(names, {} if options is None else options)
    program = lower(network, spec, samples, memory_bits=memory_bits, sum_bits=sum_bits)
    made = {name: ARTEFACTS[name].files({"network": program}, asked[name]) for name in names}
    files = {path: data for own in made.values() for path, data in own.items()}
    check_places(files, Path(folder))
    with only_writer(Path(folder)):
        stale = [ARTEFACTS[name].stale(own, Path(folder)) for name, own in made.items()]
        replace_files(files, Path(folder), chain.from_iterable(stale))
    return Exported(program=program, folder=Path(folder), hashes=manifest(files))
