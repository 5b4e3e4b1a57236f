"""Other forms of a network's layers, taken where they lower what the network costs.

Layer by layer, of each form the least ranks are looked for with which the network's loss stays
within its bound. The form that lowers the cost most is kept, or else the layer as it is. The bound
grows from layer to layer in equal parts, so that the first ones do not use up the tolerance.
"""

import copy
import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from quantlab.compression.cost import Cost, CostFunction
from quantlab.compression.factorized import Factorized, Row, Trial
from quantlab.compression.forms import Form, Ranks
from quantlab.compression.lowrank import Layer
from quantlab.compression.moments import Observed, observe
from quantlab.compression.output_error import output_error
from quantlab.compression.replaceable import blocked, named_layers
from quantlab.conversion.samples import batch_of
from quantlab.errors import QuantLabError, UsageError, check_kind
from quantlab.graphs.replace import replace_modules

Loss = Callable[[nn.Module], float]


class Aim(ABC):
    """What other forms are to lower. unit: the figure in words. forms: those to try, by name."""

    unit: str
    forms: Mapping[str, Form]

    @abstractmethod
    def figure(self, cost: Cost) -> int:
        """Return the bytes to lower."""

    @abstractmethod
    def priority(self, layer: Layer, tensors: Sequence[int]) -> int:
        """Return how early a layer comes: the largest first. tensors: the elements of one sample
        that it gets and gives."""


def search(
    network: nn.Module,
    samples: Tensor,
    aim: Aim,
    *,
    cost: CostFunction,
    names: Sequence[str] | None,
    tolerance: float,
    loss: Loss | None,
) -> Factorized:
    """Return a copy of a network with layers in other forms; see `factorize` and `separate`."""
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    check_kind("tolerance", tolerance, int | float, "a number from 0")
    if not 0 <= tolerance < math.inf:
        raise UsageError(f"tolerance: {tolerance} given, a number from 0 allowed")
    work = copy.deepcopy(network)
    layers = named_layers(work, names)
    batch = batch_of(samples, work, "samples")
    observed = observe(work, batch)
    tried = _Search(aim=aim, cost=cost, loss=output_error(work, batch) if loss is None else loss)
    state = _State(network=work, cost=cost(work), loss=tried.loss(work))
    least = state.loss
    sizes = {name: _sizes(layer, observed.get(layer)) for name, layer in layers.items()}
    rows: dict[str, Row] = {}
    free: list[tuple[str, Layer]] = []
    for name, layer in layers.items():
        reason = blocked(work, layer, observed)
        if reason is None and isinstance(layer, Layer):
            free.append((name, layer))
        else:
            rows[name] = _kept(name, [], state, sizes[name], str(reason))
    free.sort(key=lambda one: aim.priority(one[1], sizes[one[0]]), reverse=True)
    for number, (name, layer) in enumerate(free, 1):
        bound = least + tolerance * number / len(free)
        state, rows[name] = tried.choose(name, layer, observed[layer], state, bound)
    ordered = [rows[name] for name in layers]
    return Factorized(network=state.network, rows=ordered, cost=state.cost, loss=state.loss)


@dataclass(frozen=True, kw_only=True)
class _State:
    network: nn.Module
    cost: Cost
    loss: float


@dataclass(frozen=True, kw_only=True)
class _Search:
    aim: Aim
    cost: CostFunction
    loss: Loss

    def choose(
        self, name: str, layer: Layer, observed: Observed, state: _State, bound: float
    ) -> tuple[_State, Row]:
        """Return the network with the best form of a layer, and its row."""
        tensors = _sizes(layer, observed)
        obstacles = {key: form.obstacle(layer) for key, form in self.aim.forms.items()}
        possible = [key for key, reason in obstacles.items() if reason is None]
        if not possible:
            reason = str(next(iter(obstacles.values())))
            return state, _kept(name, [], state, tensors, reason)
        trials = [self._try(key, layer, observed, state, bound) for key in possible]
        fit = [trial for trial in trials if not trial.problem]
        if not fit:
            return state, _kept(name, trials, state, tensors, self._reason(trials, state.cost))
        best = min(fit, key=self._figure)
        made = self._build(best, layer, observed)
        assert best.cost is not None
        assert best.loss is not None
        changed = _State(
            network=replace_modules(state.network, {layer: made}), cost=best.cost, loss=best.loss
        )
        before, after = self.aim.figure(state.cost), self.aim.figure(best.cost)
        return changed, Row(
            name=name,
            chosen=best,
            trials=trials,
            before=state.cost,
            after=best.cost,
            ideal_before=_ideal(tensors),
            ideal_after=_ideal(_sizes(made, observed)),
            reason=f"{best.words}: {after:,} bytes of {self.aim.unit} instead of {before:,}",
        )

    def _try(
        self, key: str, layer: Layer, observed: Observed, state: _State, bound: float
    ) -> Trial:
        form = self.aim.forms[key]
        chain = form.ranks(layer)
        if not chain:
            return Trial(form=key, words=key, problem="noise alone, EVBMF's rank is 0")
        losses: dict[Ranks, float] = {}

        def fits(ranks: Ranks) -> bool:
            made = form.build(layer, ranks, observed)
            with _standing_in(state.network, layer, made) as other:
                losses[ranks] = self.loss(other)
            return losses[ranks] <= bound

        found = _least(chain, fits)
        ranks = chain[-1] if found is None else found
        trial = Trial(form=key, words=form.describe(ranks), ranks=ranks, loss=losses[ranks])
        if found is None:
            problem = f"loss {losses[ranks]:.3g}, at most {bound:.3g} allowed"
            return dataclasses.replace(trial, problem=problem)
        with _standing_in(state.network, layer, self._build(trial, layer, observed)) as other:
            try:
                cost = self.cost(other)
            except QuantLabError as error:
                return dataclasses.replace(trial, problem=f"no C: {error}")
        falls = self.aim.figure(cost) < self.aim.figure(state.cost)
        problem = "" if falls else f"{self.aim.figure(cost):,}"
        return dataclasses.replace(trial, cost=cost, problem=problem)

    def _build(self, trial: Trial, layer: Layer, observed: Observed) -> nn.Module:
        assert trial.ranks is not None
        return self.aim.forms[trial.form].build(layer, trial.ranks, observed)

    def _figure(self, trial: Trial) -> int:
        assert trial.cost is not None
        return self.aim.figure(trial.cost)

    def _reason(self, trials: Sequence[Trial], before: Cost) -> str:
        tried = [f"{trial.words}: {trial.problem}" for trial in trials]
        given = f"{self.aim.figure(before):,} bytes of {self.aim.unit}"
        return "; ".join([given, *tried])


def _kept(
    name: str, trials: Sequence[Trial], state: _State, tensors: Sequence[int], reason: str
) -> Row:
    return Row(
        name=name,
        chosen=None,
        trials=trials,
        before=state.cost,
        after=state.cost,
        ideal_before=_ideal(tensors),
        ideal_after=_ideal(tensors),
        reason=f"kept dense: {reason}",
    )


def _least(chain: Sequence[Ranks], fits: Callable[[Ranks], bool]) -> Ranks | None:
    """Return the first ranks of a chain that fit, if those behind them do too; None if the last
    ones do not."""
    if not fits(chain[-1]):
        return None
    low, high = 0, len(chain) - 1
    while low < high:
        middle = (low + high) // 2
        if fits(chain[middle]):
            high = middle
        else:
            low = middle + 1
    return chain[high]


@contextmanager
def _standing_in(network: nn.Module, layer: nn.Module, other: nn.Module) -> Iterator[nn.Module]:
    """Put a module in the place of another one for as long as the context lasts."""
    changed = replace_modules(network, {layer: other})
    try:
        yield changed
    finally:
        replace_modules(changed, {other: layer})


@torch.no_grad()
def _sizes(layer: nn.Module, observed: Observed | None) -> list[int]:
    """Return the elements of what a layer, or each of a sequence, gets and gives for a sample."""
    if observed is None:
        return []
    weight = next(layer.parameters())
    x = torch.zeros((1, *observed.input_shape), dtype=weight.dtype, device=weight.device)
    sizes = [x.numel()]
    for part in layer if isinstance(layer, nn.Sequential) else [layer]:
        x = part(x)
        sizes.append(x.numel())
    return sizes


def _ideal(sizes: Sequence[int]) -> int:
    return max(map(sum, pairwise(sizes)), default=0)
