"""`main.py train`, the default: a new experiment."""

from experiments.command_line import Invocation
from experiments.configuration.resolve import resolve
from experiments.configuration.section import validate
from experiments.experiment.early import EarlyConfig
from experiments.experiment.quick import quick
from experiments.library import load_library, load_problem


def run(invocation: Invocation) -> int:
    """Validate everything, then make the run's folder, then train."""
    problem_name, topology = invocation.options["problem"], invocation.options["topology"]
    overlay = invocation.options.get("config")
    document = resolve(problem_name, topology, overlay, invocation.overrides)
    early = validate(EarlyConfig, document)
    if invocation.has("quick"):
        document = quick(document, early)
    # From here on torch is needed: by the models of the other sections, then by all that trains.
    from experiments.experiment.config import Config

    config = validate(Config, document)
    from experiments.experiment.conduct import conduct, prepare

    problem, library = load_problem(problem_name), load_library(problem_name, topology)
    experiment = prepare(
        problem,
        library,
        document,
        config,
        invocation.options.get("dist"),
        is_quick=invocation.has("quick"),
    )
    return conduct(experiment)
