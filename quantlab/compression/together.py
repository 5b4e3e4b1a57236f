"""Several layers in other forms at once, where the figure falls only if all of them change.

RAM is what the layer takes that needs most of it. Of two that need as much, changing either lowers
nothing, changing both does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from quantlab.compression.factorized import Trial
from quantlab.compression.layers import Layer
from quantlab.compression.moments import Observed
from quantlab.compression.trying import Measure, State, built
from quantlab.compression.working_set import sizes_of, working_set
from quantlab.errors import QuantLabError
from quantlab.graphs.replace import replace_modules


@dataclass(frozen=True, kw_only=True)
class Change:
    """A layer, the trial that gave its form, and the layer in that form."""

    layer: Layer
    trial: Trial
    made: nn.Module


def smallest(
    trials: Sequence[Trial], layer: Layer, observed: Observed, measure: Measure
) -> Change | None:
    """Return the form with the smallest working set of those that lose no more than they may; None
    if none has a smaller one than the layer."""
    least, best = working_set(sizes_of(layer, observed)), None
    for trial in trials:
        if trial.cost is None:
            continue
        made = built(trial, layer, observed, measure)
        size = working_set(sizes_of(made, observed))
        if size < least:
            least, best = size, Change(layer=layer, trial=trial, made=made)
    return best


def together(
    changes: Mapping[str, Change], state: State, bound: float, measure: Measure
) -> tuple[State, Sequence[str]]:
    """Return the network with as many changes as its loss allows, but for those that its cost falls
    without, and the names of their layers; or the network as it is and no names, if its cost does
    not fall. bound: the most loss."""
    network, names = state.network, []
    for name, change in changes.items():
        network = replace_modules(network, {change.layer: change.made})
        if measure.loss(network) <= bound:
            names.append(name)
        else:
            network = replace_modules(network, {change.made: change.layer})
    best = _figure(network, measure)
    for name in list(names):
        change = changes[name]
        without = replace_modules(network, {change.made: change.layer})
        figure = _figure(without, measure)
        if figure <= best:
            network, best = without, figure
            names.remove(name)
        else:
            network = replace_modules(without, {change.layer: change.made})
    if not best < measure.figure(state.cost):
        for name in names:
            network = replace_modules(network, {changes[name].made: changes[name].layer})
        return state, []
    return State(network=network, cost=measure.cost(network), loss=measure.loss(network)), names


def _figure(network: nn.Module, measure: Measure) -> float:
    """Return the bytes to lower, infinitely many of what cannot be exported."""
    try:
        return measure.figure(measure.cost(network))
    except QuantLabError:
        return float("inf")
