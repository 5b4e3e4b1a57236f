"""What the options name is looked up before a command is imported, which may take seconds."""

from collections.abc import Mapping

from experiments.library import problem_folder, topology_folder
from experiments.processes.launcher import detect_launcher


def check_names(options: Mapping[str, str]) -> None:
    """Raise UsageError for a problem, a topology or a launcher that does not exist."""
    detect_launcher(options.get("dist"))
    if "problem" in options:
        problem_folder(options["problem"])
        if "topology" in options:
            topology_folder(options["problem"], options["topology"])
