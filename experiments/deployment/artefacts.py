"""A run's artefacts in its folder.

A file that is not there is written; one that is there has to be what the program says, or whoever
asks for it gets a VerificationError that names the tensor.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from experiments.runs.files import storage_error
from quantlab.deploy.artefact import Options
from quantlab.deploy.folder import replace_files
from quantlab.deploy.table import ARTEFACTS
from quantlab.deploy.verification import open_engines
from quantlab.integer.program import Program
from quantlab.integer.verify import Engine

_PART = "network"


def write(
    options: Mapping[str, Options], program: Program, folder: Path
) -> Mapping[str, Sequence[Path]]:
    """Write the files of artefacts, in place of what is there; return their paths.

    options: of each artefact, by its name. Raises UsageError, before anything is written, for what
    an artefact cannot hold and for files that have to stay.
    """
    parts = {_PART: program}
    files = {name: ARTEFACTS[name].files(parts, asked) for name, asked in options.items()}
    with _storage(folder):
        stale = {name: ARTEFACTS[name].stale(own, folder) for name, own in files.items()}
        folder.mkdir(parents=True, exist_ok=True)
        return {name: replace_files(own, folder, stale[name]) for name, own in files.items()}


def engines_of(names: Sequence[str], program: Program, folder: Path) -> Mapping[str, Engine]:
    """Return engines, by name, that run what is in the folder.

    Raises VerificationError, UsageError as `quantlab.deploy.verification.open_engines`.
    """
    with _storage(folder):
        return open_engines(names, {_PART: program}, folder)


@contextmanager
def _storage(folder: Path) -> Iterator[None]:
    """Let what cannot be written be one line."""
    try:
        yield
    except OSError as error:
        raise storage_error(Path(error.filename or folder), error) from error
