"""A layer tried in another form: the least ranks, and what the whole network costs with it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import nn

from quantlab.compression.cost import Cost, CostFunction
from quantlab.compression.factorized import Trial
from quantlab.compression.forms import Form, Ranks
from quantlab.compression.layers import Layer
from quantlab.compression.moments import Observed
from quantlab.errors import QuantLabError
from quantlab.graphs.replace import standing_in

Loss = Callable[[nn.Module], float]


class Aim(ABC):
    """What other forms are to lower. unit: the figure in words. forms: those to try, by name.
    is_peak: whether the layer that needs most of it decides, so that several may have to change
    before it falls."""

    unit: ClassVar[str]
    forms: ClassVar[Mapping[str, Form]]
    is_peak: ClassVar[bool]

    @abstractmethod
    def figure(self, cost: Cost) -> int:
        """Return the bytes to lower."""

    def problem(self, before: Cost, after: Cost) -> str:
        """Return why a network of one cost does not take the place of one of another, for people;
        empty if it does."""
        return "" if self.figure(after) < self.figure(before) else f"{self.figure(after):,}"

    @abstractmethod
    def priority(self, layer: Layer, sizes: Sequence[int]) -> int:
        """Return how early a layer comes: the largest first. sizes: elements of what it gets and
        gives, of one sample."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What networks are compared by."""

    aim: Aim
    cost: CostFunction
    loss: Loss

    def figure(self, cost: Cost | None) -> int:
        """Return the bytes to lower of a cost that is known."""
        assert cost is not None
        return self.aim.figure(cost)


@dataclass(frozen=True, kw_only=True)
class State:
    """A network, what it costs and its loss."""

    network: nn.Module
    cost: Cost
    loss: float


def built(trial: Trial, layer: Layer, observed: Observed, measure: Measure) -> nn.Module:
    """Return a layer in the form of a trial."""
    assert trial.ranks is not None
    return measure.aim.forms[trial.form].build(layer, trial.ranks, observed)


def tried(
    name: str, layer: Layer, observed: Observed, state: State, bound: float, measure: Measure
) -> Trial:
    """Return how a form does, of which the layer has at least one. bound: the most loss."""
    form = measure.aim.forms[name]
    chain = form.ranks(layer)
    if not chain:
        return Trial(form=name, words=name, problem="noise alone, EVBMF's rank is 0")
    losses: dict[Ranks, float] = {}

    def fits(ranks: Ranks) -> bool:
        made = form.build(layer, ranks, observed)
        with standing_in(state.network, layer, made) as network:
            losses[ranks] = measure.loss(network)
        return losses[ranks] <= bound

    found = _least(chain, fits)
    ranks = chain[-1] if found is None else found
    trial = Trial(form=name, words=form.describe(ranks), ranks=ranks, loss=losses[ranks])
    if found is None:
        return replace(trial, problem=f"loss {losses[ranks]:.3g}, at most {bound:.3g} allowed")
    with standing_in(state.network, layer, built(trial, layer, observed, measure)) as network:
        try:
            cost = measure.cost(network)
        except QuantLabError as error:
            return replace(trial, problem=f"no C: {error}")
    return replace(trial, cost=cost, problem=measure.aim.problem(state.cost, cost))


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
