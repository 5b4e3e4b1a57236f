"""`main.py verify` of a compression: the proof that its C computes its program."""

from collections.abc import Mapping
from typing import Any

from experiments.command_line import Invocation
from experiments.commands.comparisons import compared, print_table
from experiments.commands.stored import check_no_effect
from experiments.compression.conduct import PROGRAM
from experiments.configuration.documents import Document
from experiments.configuration.section import validate
from experiments.data.config import DataConfig
from experiments.deployment.artefacts import engines_of
from experiments.deployment.certificate import CERTIFICATE, certificate
from experiments.deployment.samples import raw_samples
from experiments.experiment.data import load_data
from experiments.library import load_library, load_problem
from experiments.processes.communicator import Single
from experiments.progress import console
from experiments.runs.files import write_json
from experiments.runs.folder import RunFolder, open_run
from quantlab.deploy.table import engines_named
from quantlab.errors import UsageError
from quantlab.integer.file import from_bytes

_ENGINE = "c"  # unless others are asked for
_NUM_SAMPLES, _BATCH_SIZE = 1000, 50


def verify_compression(invocation: Invocation, run: RunFolder, record: Mapping[str, Any]) -> int:
    """Run every engine on real samples, write the certificate."""
    check_no_effect(invocation, run, ("backends", "samples"))
    backends = engines_named(invocation.options.get("backends", _ENGINE))
    count = invocation.number("samples") if invocation.has("samples") else _NUM_SAMPLES
    path = run.path / PROGRAM
    if not path.exists():
        raise UsageError(f"{path}: not there; {run.name} is {record['status']}")
    program = from_bytes(path.read_bytes(), str(path))
    problem = load_problem(run.problem)
    parent = open_run(problem.name, problem.logs_folder, record["config"]["parent"]["exp_id"])
    config = validate(DataConfig, Document(values=parent.record()["config"]["data"]))
    data = load_data(problem, config, Single())
    samples, _ = raw_samples(data.test, load_library(problem.name, record["topology"]), count)
    (run.path / CERTIFICATE).unlink(missing_ok=True)
    running = engines_of(backends, program, run.path)
    comparisons = compared(program, running, samples, _BATCH_SIZE)
    whole = {"run": run.name, **certificate(program, samples, comparisons)}
    write_json(run.path / CERTIFICATE, whole)
    print_table(comparisons)
    console.print(f"certificate: {run.path / CERTIFICATE}", markup=False)
    for comparison in comparisons:
        comparison.check()
    return 0
