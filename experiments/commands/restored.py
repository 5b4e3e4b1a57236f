"""The trained network of a run: what `test` and `predict` share."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from experiments.command_line import Invocation
from experiments.commands.resume import stored_run
from experiments.configuration.documents import Document
from experiments.configuration.schema import Config
from experiments.configuration.section import validate
from experiments.library import Library, Problem
from experiments.progress import console
from experiments.runs.checkpoints import BEST, LAST, Checkpoints, check_identity
from experiments.runs.folder import RunFolder
from experiments.training.assembly import (
    build_network,
    create_loss,
    load_weights,
    without_pretrained,
)
from experiments.training.loss_state import load_own_state


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

    @property
    def artefacts(self) -> Path:
        """The folder of what is deployed of this checkpoint."""
        return self.folder.fold(self.fold) / "deploy" / self.checkpoint


def restore(invocation: Invocation) -> Restored:
    """Build the network of a run and load a checkpoint into it."""
    problem, library, folder, document = stored_run(invocation)
    config = without_pretrained(validate(Config, document))
    fold = invocation.number("fold") if invocation.has("fold") else 0
    checkpoints = Checkpoints(folder.fold(fold) / "saves")
    name = invocation.options.get("checkpoint", BEST if checkpoints.has(BEST) else LAST)
    state = checkpoints.load(name, lambda line: console.print(line, markup=False))
    check_identity(state, problem.name, library.name, f"{name}.ckpt")
    network, _ = build_network(problem, library, config, document, seed=0)
    load_weights(network, state["ema"] or state["network"], f"{name}.ckpt")
    loss = create_loss(library, config, document, network).to(next(network.parameters()).dtype)
    load_own_state(loss, network, state["loss"])
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
    )
