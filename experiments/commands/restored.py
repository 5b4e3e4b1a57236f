"""The trained network of a run, and the program that it is deployed as."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from experiments.command_line import Invocation
from experiments.commands.remark import remark
from experiments.commands.stored import StoredRun, stored_run
from experiments.configuration.documents import Document
from experiments.configuration.section import validate
from experiments.deployment.program import program_of
from experiments.experiment.assembly import build_network
from experiments.experiment.config import Config, without_pretrained
from experiments.experiment.data import load_data
from experiments.library import Library, Problem
from experiments.processes.communicator import Communicator, Single
from experiments.processes.launcher import launched_rank
from experiments.protocols import Data
from experiments.runs import sources
from experiments.runs.checkpoints import BEST, LAST, Checkpoints, check_identity
from experiments.runs.folder import Lock, RunFolder
from experiments.training.loss import create_loss
from experiments.training.loss_state import load_own_state
from experiments.training.weights import load_weights
from quantlab.errors import UsageError
from quantlab.integer.lower import Limits
from quantlab.integer.program import Program
from quantlab.sparse.dense_state import dense_state


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A run's network with the weights of one of its checkpoints, in evaluation mode, and the loss
    that knows this network."""

    problem: Problem
    library: Library
    folder: RunFolder
    document: Document
    config: Config
    network: nn.Module
    loss: nn.Module
    fold: int
    checkpoint: str
    is_quick: bool

    @property
    def artefacts(self) -> Path:
        """The folder of what is deployed of this checkpoint."""
        return self.folder.fold(self.fold) / "deploy" / self.checkpoint

    def data(self, communicator: Communicator | None = None) -> Data:
        """Return the run's data set, for one process or several."""
        return load_data(self.problem, self.config.data, communicator or Single())


def restore(invocation: Invocation) -> Restored:
    """Build the network of a run and load a checkpoint into it."""
    stored = stored_run(invocation)
    problem, library, folder = stored.problem, stored.library, stored.folder
    document = stored.document
    config = without_pretrained(validate(Config, document))
    fold = invocation.number("fold") if invocation.has("fold") else 0
    folds = config.experiment.folds
    if fold >= folds:
        there = "1 fold; 0 allowed" if folds == 1 else f"{folds} folds; 0 to {folds - 1} allowed"
        raise UsageError(f"--fold={fold}: {folder.name} has {there}")
    checkpoints = Checkpoints(folder.fold(fold) / "saves")
    name = invocation.options.get("checkpoint", BEST if checkpoints.has(BEST) else LAST)
    state = checkpoints.load(name, remark)
    check_identity(state, problem.name, library.name, f"{name}.ckpt")
    network, _ = build_network(problem, library, config, document, seed=0)
    load_weights(network, state["ema"] or state["network"], f"{name}.ckpt")
    loss = create_loss(library, config.training.loss, document, network).to(
        next(network.parameters()).dtype
    )
    load_own_state(loss, network, state["loss"])
    _note_changes(stored)
    if stored.is_quick:
        remark(f"note: {folder.name} is a quick look; its numbers mean little")
    return Restored(
        problem=problem,
        library=library,
        folder=folder,
        document=document,
        config=config,
        network=network.eval(),
        loss=loss,
        fold=fold,
        checkpoint=name,
        is_quick=stored.is_quick,
    )


def dense_network(restored: Restored) -> nn.Module:
    """Return a run's network, of a pruned one as it was built: its weights among zeros."""
    if restored.config.prune is None:
        return restored.network
    config = restored.config.model_copy(update={"prune": None})
    network, _ = build_network(
        restored.problem, restored.library, config, restored.document, seed=0
    )
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    state = dense_state(restored.network.state_dict(), shapes)
    load_weights(network, state, f"{restored.checkpoint}.ckpt")
    return network.eval()


def _note_changes(stored: StoredRun) -> None:
    """Note in the run's record with what changed code its network is used. Raises UsageError while
    another process writes the record."""
    if not stored.changes or launched_rank() != 0:
        return
    lock = Lock(stored.folder.path)
    try:
        entry = sources.noted(stored.folder.record(), stored.changes)
        stored.folder.update(**{sources.CHANGED: entry})
    finally:
        lock.release()


def limits_of(invocation: Invocation) -> Limits:
    """Return what an integer program is to keep to."""
    chosen = Limits()
    if invocation.has("memory_bits"):
        chosen = replace(chosen, memory_bits=invocation.number("memory_bits"))
    if invocation.has("sum_bits"):
        chosen = replace(chosen, sum_bits=invocation.number("sum_bits"))
    return chosen


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """A restored network, its data and its integer program."""

    restored: Restored
    data: Data
    program: Program


def lowered(restored: Restored, limits: Limits) -> Lowered:
    """Read the data of a run and lower its network. Raises UsageError, DataError."""
    data = restored.data()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        program = program_of(restored.network, restored.library, data, limits=limits)
    for warning in said:
        remark(f"note: {warning.message}")
    return Lowered(restored=restored, data=data, program=program)
