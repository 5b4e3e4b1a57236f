"""What a command says beside what it prints."""

from experiments.processes.launcher import launched_rank
from experiments.progress import error_console


def remark(line: str) -> None:
    """Say a line on stderr, once for all processes."""
    if launched_rank() == 0:
        error_console.print(line, markup=False)
