"""`main.py data`: bring a problem's data set into its folder and verify it."""

from experiments.command_line import Invocation
from experiments.library import load_problem
from experiments.progress import console
from experiments.storage import ensure_links


def run(invocation: Invocation) -> int:
    """Fetch what is missing, check what is there."""
    problem = load_problem(invocation.options["problem"])
    ensure_links(problem)
    console.print(problem.data.fetch(problem.data_folder), markup=False)
    return 0
