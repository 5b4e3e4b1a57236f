"""The weights that a network begins with, of another run or of a file."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from experiments.library import Problem
from experiments.training.config import Pretrained
from experiments.training.stored_weights import (
    checkpoints_of,
    open_other_run,
    read_file,
    weights_in,
)
from experiments.training.weights import load_weights
from quantlab.errors import UsageError
from quantlab.sparse.dense_state import dense_state

_SECTION = "network.pretrained"


@dataclass(frozen=True, kw_only=True)
class PretrainedWeights:
    """A state, and what it is of, for errors. prefixes: of the entries that are taken."""

    state: dict[str, Tensor]
    origin: str
    prefixes: list[str]

    def made_dense(self, network: nn.Module) -> "PretrainedWeights":
        """Return the weights with zeros between those of pruned layers, as the network has them."""
        shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        state = dense_state(self.state, shapes)
        if state.keys() == self.state.keys():
            return self
        return PretrainedWeights(state=state, origin=self.origin, prefixes=self.prefixes)

    def fit(self, network: nn.Module) -> bool:
        """Return whether all entries are among the network's."""
        return self.state.keys() <= network.state_dict().keys()

    def load(self, network: nn.Module) -> None:
        """Load the entries that the prefixes choose; all if there are none. Raises UsageError."""
        if not self.prefixes:
            load_weights(network, self.state, self.origin)
            return
        chosen = {n: t for n, t in self.state.items() if n.startswith(tuple(self.prefixes))}
        if not chosen:
            raise UsageError(
                f"network.pretrained.prefixes: {self.prefixes} match nothing in {self.origin}"
            )
        load_weights(network, {**network.state_dict(), **chosen}, self.origin)


def read_pretrained(problem: Problem, source: Pretrained) -> PretrainedWeights:
    """Read what a configuration names. Raises UsageError for what is not there or holds none."""
    state, origin = _of_run(problem, source) if source.exp_id is not None else _of_file(source)
    return PretrainedWeights(state=state, origin=origin, prefixes=source.prefixes)


def _of_run(problem: Problem, source: Pretrained) -> tuple[dict[str, Tensor], str]:
    assert source.exp_id is not None
    run = open_other_run(problem, source.exp_id, _SECTION)
    saves = checkpoints_of(run, source.fold, _SECTION)
    saved = saves.load(source.checkpoint, say=lambda _: None)
    return saved["ema"] or saved["network"], f"{run.name} {source.checkpoint}.ckpt"


def _of_file(source: Pretrained) -> tuple[dict[str, Tensor], str]:
    path = Path(source.file or "")
    key = f"{_SECTION}.file"
    return weights_in(read_file(path, key), str(path), key), str(path)
