"""The weights that a network begins with, of another run or of a file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
from quantlab.generation.layers import FACTORS, Generated, generated_layers
from quantlab.generation.spec import FactorName, MLGSpec
from quantlab.graphs.paths import join
from quantlab.sparse.dense_state import dense_state

SECTION = "network.pretrained"
_REMEDY = "give it as `teacher` instead, and set mlg.projection_alg"


@dataclass(frozen=True, kw_only=True)
class PretrainedWeights:
    """A state, and what it is of, for errors. prefixes: of the entries that are taken.

    Of a network with generated layers, where its configuration is known: dense, the state of a
    float network that computes the same; specs, by layer.
    """

    state: dict[str, Tensor]
    origin: str
    prefixes: list[str]
    dense: dict[str, Tensor] | None = None
    specs: Mapping[str, MLGSpec] = field(default_factory=dict)

    @property
    def have_factors(self) -> bool:
        """Whether entries have the name of a factor."""
        return any(name.rpartition(".")[2] == "basis" for name in self.state)

    def without_factors(self) -> "PretrainedWeights":
        """Return the weights as a network without generated layers has them."""
        return self if self.dense is None else replace(self, state=self.dense, dense=None, specs={})

    def made_dense(self, network: nn.Module) -> "PretrainedWeights":
        """Return the weights with zeros between those of pruned layers, as the network has them."""
        shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        state = dense_state(self.state, shapes)
        return self if state.keys() == self.state.keys() else replace(self, state=state)

    def fit(self, network: nn.Module) -> bool:
        """Return whether all entries are among the network's."""
        return self.state.keys() <= network.state_dict().keys()

    def check_generated(self, network: nn.Module) -> None:
        """Raise UsageError unless the layers that both have are generated alike."""
        chosen, generated = self._chosen(), dict(generated_layers(network))
        for name, layer in generated.items():
            if join(name, "weight") in chosen:
                raise UsageError(
                    f"{SECTION}: {self.origin} has a dense weight of '{name}', a layer that mlg "
                    f"generates; {_REMEDY}"
                )
            if join(name, "basis") in chosen:
                self._check_spec(name, layer)
        for entry in chosen:
            name, _, kind = entry.rpartition(".")
            if kind == "basis" and name not in generated and join(name, "weight") not in chosen:
                self._check_dense(network, name, is_generated=bool(generated))

    def load(self, network: nn.Module) -> None:
        """Load the entries that the prefixes choose; all if there are none. Raises UsageError."""
        self.check_generated(network)
        if not self.prefixes:
            load_weights(network, self.state, self.origin)
            return
        chosen = self._chosen()
        if not chosen:
            raise UsageError(f"{SECTION}.prefixes: {self.prefixes} match nothing in {self.origin}")
        load_weights(network, {**network.state_dict(), **chosen}, self.origin)

    def _chosen(self) -> dict[str, Tensor]:
        prefixes = tuple(self.prefixes)
        return {n: t for n, t in self.state.items() if not prefixes or n.startswith(prefixes)}

    def _check_spec(self, name: str, layer: Generated) -> None:
        """Raise UsageError unless the factors of a layer are of its sizes and, if known, bits."""
        spec = self.specs.get(name, layer.spec)
        for factor in FACTORS:
            given, own = self.state.get(join(name, factor)), layer._parameters[factor]
            theirs, ours = _described(given, spec, factor), _described(own, layer.spec, factor)
            if theirs != ours:
                raise UsageError(
                    f"{SECTION}: {self.origin} has the {factor} of '{name}' {theirs}, mlg {ours}; "
                    f"the same allowed, or {_REMEDY}"
                )

    def _check_dense(self, network: nn.Module, name: str, *, is_generated: bool) -> None:
        """Raise UsageError if the network has a dense weight where there are factors."""
        if join(name, "weight") not in network.state_dict():
            return
        remedy = (
            _REMEDY if is_generated else f"give its run as {SECTION}.exp_id, which describes it"
        )
        raise UsageError(
            f"{SECTION}: {self.origin} has factors of '{name}', a layer with a dense weight here; "
            f"{remedy}"
        )


def read_pretrained(problem: Problem, source: Pretrained) -> PretrainedWeights:
    """Read what a configuration names. Raises UsageError for what is not there or holds none."""
    state, origin = _of_run(problem, source) if source.exp_id is not None else _of_file(source)
    return PretrainedWeights(state=state, origin=origin, prefixes=source.prefixes)


def _of_run(problem: Problem, source: Pretrained) -> tuple[dict[str, Tensor], str]:
    assert source.exp_id is not None
    run = open_other_run(problem, source.exp_id, SECTION)
    saves = checkpoints_of(run, source.fold, SECTION)
    saved = saves.load(source.checkpoint, say=lambda _: None)
    return saved["ema"] or saved["network"], f"{run.name} {source.checkpoint}.ckpt"


def _of_file(source: Pretrained) -> tuple[dict[str, Tensor], str]:
    path = Path(source.file or "")
    key = f"{SECTION}.file"
    return weights_in(read_file(path, key), str(path), key), str(path)


def _described(factor: Tensor | None, spec: MLGSpec, name: FactorName) -> str:
    """Return the sizes and bits of a factor in words."""
    if factor is None:
        return "absent"
    return f"of {list(factor.shape)} in {spec.bits[name]} bits ({spec.quantizer})"
