"""The teacher of a run: its weights, in the network that its own configuration describes."""

import torch

from experiments.configuration.documents import Document
from experiments.configuration.section import complain
from experiments.experiment.assembly import place_network
from experiments.experiment.config import Config
from experiments.experiment.start import build_described
from experiments.experiment.stored_teacher import stored_teacher
from experiments.library import Library, Problem
from experiments.training.distillation.teacher import Teacher
from experiments.training.weights import load_weights
from quantlab.errors import UsageError
from quantlab.numerics.digest import weights_sha256

_SECTION = "teacher"


def read_teacher(
    problem: Problem, library: Library, config: Config, document: Document, device: torch.device
) -> Teacher:
    """Build the network that the section `teacher` names, and load its weights.

    library: the student's. Raises UsageError for what is not there or does not fit.
    """
    assert config.teacher is not None
    stored = stored_teacher(problem, library, config, config.teacher, document)
    described = stored.described
    network, _ = build_described(described.library, described.config, described.document, seed=0)
    key = "checkpoint" if config.teacher.exp_id is None else "exp_id"
    try:
        load_weights(network, stored.state, stored.origin)
    except UsageError as error:
        raise complain(document, (_SECTION, key), str(error)) from error
    digest = weights_sha256(network.state_dict())
    network.to(torch.float64 if config.training.precision == "float64" else torch.float32)
    place_network(network, config.training, device)
    network.eval().requires_grad_(False)
    return Teacher(
        network=network,
        origin=stored.origin,
        weights_sha256=digest,
        preprocess=described.library.preprocess,
        changed_code=described.changed_code,
    )
