"""`main.py train`, the default: a new experiment."""

from experiments.command_line import Invocation, Option, Syntax
from experiments.commands import options
from experiments.commands.conduct import conduct, prepare
from experiments.configuration.resolve import resolve
from experiments.configuration.schema import Config
from experiments.library import load_library, load_problem

SYNTAX = Syntax(
    help="train a new experiment and test it",
    options={
        "problem": options.PROBLEM,
        "topology": options.TOPOLOGY,
        "config": Option(help="a name in the topology's configs/, or a YAML file"),
        "dist": options.DIST,
    },
    required=("problem", "topology"),
    sections=tuple(Config.model_fields),
)


def run(invocation: Invocation) -> int:
    """Validate everything, then make the run's folder, then train."""
    problem = load_problem(invocation.options["problem"])
    library = load_library(problem.name, invocation.options["topology"])
    overlay = invocation.options.get("config")
    document = resolve(problem.name, library.name, overlay, invocation.overrides)
    experiment = prepare(problem, library, document, invocation.options.get("dist"))
    return conduct(experiment, exp_id=None)
