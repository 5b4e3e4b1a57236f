"""Experiments and trainers as the benchmarks of training use them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from experiments.configuration.overrides import parse_override
from experiments.configuration.resolve import resolve
from experiments.configuration.section import validate
from experiments.data.loader import Loader
from experiments.experiment.config import Config
from experiments.experiment.experiment import Experiment
from experiments.experiment.session import session_of
from experiments.library import Problem, load_library, load_problem
from experiments.processes.session import Session, local_session
from experiments.protocols import Data
from experiments.runs.checkpoints import Checkpoints
from experiments.runs.logbook import Logbook
from experiments.storage import ensure_links
from experiments.training.assembly import Assembly
from experiments.training.trainer import Trainer
from quantlab.errors import DataError


def experiment_of(
    problem_name: str,
    topology: str,
    config_name: str | None,
    overrides: Mapping[str, str],
    data: Data | None = None,
) -> Experiment:
    """Return the experiment of a config on some data (None: the real one, or synthetic of the same
    shape); in this process on the CPU, or as the launcher has it where there are GPUs."""
    problem, library = load_problem(problem_name), load_library(problem_name, topology)
    ensure_links(problem)
    parsed = [parse_override(name, value) for name, value in overrides.items()]
    document = resolve(problem_name, topology, config_name, parsed)
    config = validate(Config, document)
    has_gpu = torch.cuda.is_available()
    session: Session = session_of(config.experiment, None) if has_gpu else local_session()
    return Experiment(
        problem=problem,
        library=library,
        config=config,
        document=document,
        data=data or _load(problem),
        session=session,
    )


def _load(problem: Problem) -> Data:
    try:
        return problem.data.load(problem.data_folder, "auto")
    except DataError:
        return problem.data.load(problem.data_folder, "synthetic")


def with_training(subject: Experiment, **changes: Any) -> Experiment:
    """Return the same experiment with other entries of the section `training`."""
    training = subject.config.training.model_copy(update=changes)
    return replace(subject, config=subject.config.model_copy(update={"training": training}))


def new_trainer(subject: Experiment, assembly: Assembly, loader: Loader, folder: Path) -> Trainer:
    """Return our trainer, with logging, metrics and checkpoints."""
    communicator = subject.session.communicator
    return Trainer(
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
        graphs=subject.graphs,
    )


def trainer_of(
    subject: Experiment, assembly: Assembly, loader: Loader, folder: Path
) -> Callable[[], None]:
    """Return one run of our trainer."""
    return run_of(new_trainer(subject, assembly, loader, folder))


def run_of(trainer: Trainer) -> Callable[[], None]:
    """Return a training from the first epoch to the last, which can be called again."""

    def run() -> None:
        trainer.rewind()
        trainer.fit()

    return run
