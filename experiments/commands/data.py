"""`main.py data`: bring a problem's data set into its folder and verify it."""

from experiments.command_line import Invocation
from experiments.experiment.data import load_checked
from experiments.library import load_problem
from experiments.progress import console
from experiments.storage import ensure_links


def run(invocation: Invocation) -> int:
    """Fetch what is missing, check what is there, and whether it can be trained on."""
    problem = load_problem(invocation.options["problem"])
    ensure_links(problem)
    said = problem.data.fetch(problem.data_folder)
    load_checked(problem, "folder")
    console.print(said, markup=False)
    return 0
