"""A run's artefacts in its folder.

A file that is not there is written; one that is there has to be what the program says, or whoever
asks for it gets a VerificationError that names the tensor.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from experiments.runs.files import storage_error
from quantlab.deploy.artefact import Files, Options
from quantlab.deploy.folder import only_writer, replace_files
from quantlab.deploy.table import ARTEFACTS
from quantlab.deploy.verification import open_engines
from quantlab.integer.program import Program
from quantlab.integer.verify import Engine

_PART = "network"


def files_of(options: Mapping[str, Options], program: Program) -> Mapping[str, Files]:
    """Return the files of artefacts by the artefacts' names.

    options: of each artefact, by its name. Raises UsageError for what an artefact cannot hold.
    """
    return {name: ARTEFACTS[name].files({_PART: program}, asked) for name, asked in options.items()}


def write(files: Mapping[str, Files], folder: Path) -> Mapping[str, Sequence[Path]]:
    """Write the files of artefacts, in place of what is there; return their paths.

    Raises UsageError, before anything is written, for files in the folder that have to stay, and
    while another process writes there.
    """
    with _storage(folder), only_writer(folder):
        stale = {name: ARTEFACTS[name].stale(own, folder) for name, own in files.items()}
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
