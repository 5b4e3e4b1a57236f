"""The links of a problem to its storage, made when they are missing."""

import os
import subprocess

from experiments.library import HOME, Problem
from quantlab.errors import UsageError


def ensure_links(problem: Problem) -> None:
    """Make `problems/<P>/{data,logs}` if they are not there. Raises UsageError with the line that
    cfg/problem.sh gave."""
    if problem.data_folder.is_dir() and problem.logs_folder.is_dir():
        return
    command = ["bash", str(HOME / "cfg" / "problem.sh"), problem.name]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["cfg/problem.sh failed"]
        raise UsageError(lines[-1])
