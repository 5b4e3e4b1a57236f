"""A run's folder as each host of the run sees it."""

import hashlib
import os
import time
from pathlib import Path

from experiments.processes.communicator import Communicator
from experiments.runs.folder import RunFolder
from quantlab.errors import UsageError

# A network file system may show a new folder late.
_SECONDS = 10.0


def shared_folder(folder: RunFolder, logs: Path, communicator: Communicator) -> RunFolder:
    """Return the run's folder below this host's `logs`. folder: as rank 0 made or opened it.

    Raises UsageError, on every rank, unless all hosts see the run.json that rank 0 wrote.
    """
    if not communicator.has_hosts:
        return folder
    host, digest = communicator.from_root(lambda: (os.uname().nodename, _digest(folder.path)))
    path = logs / folder.path.name
    communicator.on_all(lambda: _wait_for(path, host, digest))
    return RunFolder(problem=folder.problem, exp_id=folder.exp_id, path=path)


def _wait_for(path: Path, host: str, digest: str | None) -> None:
    deadline = time.monotonic() + _SECONDS
    while _digest(path) != digest:
        if time.monotonic() > deadline:
            raise UsageError(
                f"{path}: not the folder that {host} writes; all hosts of a run need the same "
                "storage for logs, see docs/clusters.md"
            )
        time.sleep(0.1)


def _digest(path: Path) -> str | None:
    try:
        list(path.parent.iterdir())  # NFS asks the server anew when a folder is listed
        return hashlib.sha256((path / "run.json").read_bytes()).hexdigest()
    except OSError:
        return None
