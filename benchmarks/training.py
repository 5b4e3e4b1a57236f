"""Experiments and trainers as the benchmarks of training use them."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from experiments.configuration.overrides import parse_override
from experiments.configuration.resolve import resolve
from experiments.configuration.section import validate
from experiments.data.loader import Loader
from experiments.experiment.config import Config
from experiments.experiment.experiment import Experiment
from experiments.experiment.session import session_of
from experiments.library import load_library, load_problem
from experiments.processes.session import Session, local_session
from experiments.protocols import Data
from experiments.runs.checkpoints import Checkpoints
from experiments.runs.logbook import Logbook
from experiments.storage import ensure_links
from experiments.training.assembly import Assembly
from experiments.training.trainer import Trainer
from quantlab.errors import DataError


def experiment_of(
    problem_name: str, topology: str, config_name: str, overrides: Mapping[str, str]
) -> Experiment:
    """Return the experiment of a config on real data, or synthetic of the same shape; in this
    process on the CPU, or as the launcher has it where there are GPUs."""
    problem, library = load_problem(problem_name), load_library(problem_name, topology)
    ensure_links(problem)
    parsed = [parse_override(name, value) for name, value in overrides.items()]
    document = resolve(problem_name, topology, config_name, parsed)
    config = validate(Config, document)
    try:
        data: Data = problem.data.load(problem.data_folder, "auto")
    except DataError:
        data = problem.data.load(problem.data_folder, "synthetic")
    has_gpu = torch.cuda.is_available()
    session: Session = session_of(config.experiment, None) if has_gpu else local_session()
    return Experiment(
        problem=problem,
        library=library,
        config=config,
        document=document,
        data=data,
        session=session,
    )


def trainer_of(
    subject: Experiment, assembly: Assembly, loader: Loader, folder: Path
) -> Callable[[], None]:
    """Return one run of our trainer, with logging, metrics and checkpoints."""
    communicator = subject.session.communicator
    trainer = Trainer(
        assembly=assembly,
        experiment=subject.config.experiment,
        training=subject.config.training,
        checkpoint=subject.config.checkpoint,
        train=loader,
        valid=None,
        new_meter=subject.new_meter,
        postprocess=subject.library.postprocess,
        precision=subject.precision(),
        communicator=communicator,
        device=subject.session.device,
        checkpoints=Checkpoints(folder / "saves"),
        logbook=Logbook(folder) if communicator.is_root else None,
        seed=0,
        say=lambda line: None,
    )

    def run() -> None:
        trainer.rewind()
        trainer.fit()

    return run
