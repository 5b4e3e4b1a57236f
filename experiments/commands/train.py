"""`main.py train`, the default: a new experiment."""

from typing import TYPE_CHECKING

from experiments.command_line import Invocation
from experiments.commands.remark import remark
from experiments.configuration.resolve import resolve
from experiments.configuration.section import validate
from experiments.experiment.early import EarlyConfig
from experiments.experiment.quick import quick
from experiments.library import load_library, load_problem

if TYPE_CHECKING:  # it needs torch
    from experiments.experiment.experiment import Experiment


def run(invocation: Invocation) -> int:
    """Validate everything, then make the run's folder, then train."""
    problem_name, topology = invocation.options["problem"], invocation.options["topology"]
    overlay = invocation.options.get("config")
    document = resolve(problem_name, topology, overlay, invocation.overrides, remark)
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
    notes = _notes(experiment) if experiment.session.communicator.is_root else []
    return conduct(experiment, notes=notes)


def _notes(experiment: "Experiment") -> list[str]:
    """Return what is to be told at the start: whether the run can be deployed."""
    if not experiment.config.quantize.rules:
        if experiment.config.mlg is not None:
            return ["note: generate makes a pack of it; export and verify need quantize.rules too"]
        return ["note: float; export and verify need weights of at most 8 bits (quantize.rules)"]
    from experiments.deployment.outlook import obstacle
    from experiments.experiment.assembly import build_network
    from experiments.experiment.config import without_pretrained

    network, _ = build_network(
        experiment.problem,
        experiment.library,
        without_pretrained(experiment.config),
        experiment.document,
        seed=0,
    )
    reason = obstacle(network, experiment.library, experiment.data)
    return [] if reason is None else [f"note: no integer program can be made of this run: {reason}"]
