"""`save_exits`: a program with exits as a folder of C."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from quantlab.conversion.save import check_limit
from quantlab.deploy.c.exits.model import exit_model
from quantlab.deploy.c.folder import leftovers
from quantlab.deploy.c.kernels.choice import Encoding
from quantlab.deploy.c.kernels.table import AUTO
from quantlab.deploy.c.sizes import Sizes, check_limits
from quantlab.deploy.folder import check_places, manifest, only_writer, replace_files
from quantlab.errors import check_kind
from quantlab.exits.program import ExitProgram


@dataclass(frozen=True, kw_only=True)
class SavedExits:
    """What was written. hashes: the SHA-256 of each file by its path in the folder."""

    folder: Path
    sizes: Sizes
    hashes: Mapping[str, str]


def save_exits(
    exits: ExitProgram,
    directory: str | PathLike[str] = "my_model",
    *,
    encoding: Encoding = AUTO,
    vectors: Mapping[str, NDArray[Any]] | None = None,
    ram: int | None = None,
    flash: int | None = None,
) -> SavedExits:
    """Write a program with exits as C, in place of an earlier model.

    encoding: of the weights, as of `c_model`. vectors: samples of each input by name, integers
    `[N, ...]`, for `headers/input.h`. ram: the most bytes of the arena, inputs and outputs. flash:
    the most bytes of constants.

    Raises UsageError, before anything is written, for what C cannot hold, for more than `ram` or
    `flash`, and for a directory with other files or that another process writes; OSError.
    """
    check_kind("directory", directory, str | PathLike, "a path")
    for name, limit in (("ram", ram), ("flash", flash)):
        check_limit(name, limit)
    made = exit_model(exits, encoding, vectors=vectors)
    check_limits(made.sizes, ram=ram, flash=flash)
    folder = Path(directory)
    check_places(made.files, folder)
    with only_writer(folder):
        replace_files(made.files, folder, leftovers(made.files, folder, has_parts=False))
    return SavedExits(folder=folder, sizes=made.sizes, hashes=manifest(made.files))
