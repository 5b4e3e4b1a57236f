"""Other forms of a network's layers, taken where they lower what the network costs.

Layer by layer, of each form the least ranks are looked for with which the network's loss stays
within its bound. The form that lowers the cost most is kept, or else the layer as it is. The bound
grows from layer to layer in equal parts, so that the first ones do not use up the tolerance.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from quantlab.compression.cost import CostFunction
from quantlab.compression.factorized import Factorized, Row, Trial
from quantlab.compression.layers import Layer
from quantlab.compression.moments import Observed, observe
from quantlab.compression.output_error import output_error
from quantlab.compression.replaceable import blocked, named_layers
from quantlab.compression.together import smallest, together
from quantlab.compression.trying import Aim, Loss, Measure, State, built, tried
from quantlab.compression.working_set import sizes_of, working_set
from quantlab.conversion.samples import batch_of
from quantlab.errors import UsageError, check_kind
from quantlab.graphs.replace import replace_modules

Layers = dict[str, tuple[Layer, Observed]]


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
    named = named_layers(work, names)
    batch = batch_of(samples, work, "samples")
    observed = observe(work, batch)
    asked = output_error(work, batch) if loss is None else loss
    measure = Measure(aim=aim, cost=cost, loss=asked)
    state = State(network=work, cost=cost(work), loss=asked(work))
    rows: dict[str, Row] = {}
    layers: Layers = {}
    for name, layer in named.items():
        reason = blocked(work, layer, observed, batch[:1])
        if reason is None and isinstance(layer, Layer):
            layers[name] = layer, observed[layer]
        else:
            size = working_set(sizes_of(layer, observed.get(layer)))
            rows[name] = _kept(name, [], state, size, str(reason))
    most = state.loss + tolerance
    searched = _Searched(state=state, rows=rows)
    searched = _one_by_one(layers, searched, most, measure)
    if aim.is_peak:
        searched = _several(layers, searched, most, measure)
    return Factorized(
        network=searched.state.network,
        rows=[searched.rows[name] for name in named],
        cost=searched.state.cost,
        loss=searched.state.loss,
    )


@dataclass(frozen=True, kw_only=True)
class _Searched:
    state: State
    rows: Mapping[str, Row]


def _one_by_one(layers: Layers, begun: _Searched, most: float, measure: Measure) -> _Searched:
    """Return the network with each layer in the best form that it has alone."""
    state, rows = begun.state, dict(begun.rows)
    least = state.loss

    def priority(name: str) -> int:
        layer, observed = layers[name]
        return measure.aim.priority(layer, sizes_of(layer, observed))

    for number, name in enumerate(sorted(layers, key=priority, reverse=True), 1):
        bound = least + (most - least) * number / len(layers)
        state, rows[name] = _chosen(name, *layers[name], state, bound, measure)
    return _Searched(state=state, rows=rows)


def _several(layers: Layers, begun: _Searched, most: float, measure: Measure) -> _Searched:
    """Return the network with those layers in other forms too that lower its cost together."""
    changes = {}
    for name, (layer, observed) in layers.items():
        row = begun.rows[name]
        change = smallest(row.trials, layer, observed, measure) if row.chosen is None else None
        if change is not None:
            changes[name] = change
    state, names = together(changes, begun.state, most, measure)
    rows = dict(begun.rows)
    for name in names:
        change, (_, observed) = changes[name], layers[name]
        others = ", ".join(other or "network" for other in names if other != name)
        rows[name] = replace(
            rows[name],
            chosen=change.trial,
            before=begun.state.cost,
            after=state.cost,
            ideal_after=working_set(sizes_of(change.made, observed)),
            reason=_taken(change.trial, begun.state, state, measure)
            + (f", with {others}" if others else ""),
        )
    return _Searched(state=state, rows=rows)


def _chosen(
    name: str, layer: Layer, observed: Observed, state: State, bound: float, measure: Measure
) -> tuple[State, Row]:
    """Return the network with the best form of a layer, and its row. bound: the most loss."""
    size = working_set(sizes_of(layer, observed))
    obstacles = {key: form.obstacle(layer) for key, form in measure.aim.forms.items()}
    possible = [key for key, reason in obstacles.items() if reason is None]
    if not possible:
        return state, _kept(name, [], state, size, str(next(iter(obstacles.values()))))
    trials = [tried(key, layer, observed, state, bound, measure) for key in possible]
    fit = [trial for trial in trials if trial.cost is not None and not trial.problem]
    if not fit:
        given = f"{measure.figure(state.cost):,} bytes of {measure.aim.unit}"
        words = [given, *(f"{trial.words}: {trial.problem}" for trial in trials)]
        return state, _kept(name, trials, state, size, "; ".join(words))
    best = min(fit, key=lambda trial: _order(trial, measure))
    made = built(best, layer, observed, measure)
    changed = _changed(state, layer, made, best)
    return changed, Row(
        name=name,
        chosen=best,
        trials=trials,
        before=state.cost,
        after=changed.cost,
        ideal_before=size,
        ideal_after=working_set(sizes_of(made, observed)),
        reason=_taken(best, state, changed, measure),
    )


def _order(trial: Trial, measure: Measure) -> tuple[int, int]:
    """Return what the best of several trials has least of: the aim's bytes, then all bytes."""
    assert trial.cost is not None
    return measure.figure(trial.cost), trial.cost.flash + trial.cost.ram


def _changed(state: State, layer: Layer, made: nn.Module, trial: Trial) -> State:
    assert trial.cost is not None
    assert trial.loss is not None
    network = replace_modules(state.network, {layer: made})
    return State(network=network, cost=trial.cost, loss=trial.loss)


def _taken(trial: Trial, before: State, after: State, measure: Measure) -> str:
    old, new = measure.figure(before.cost), measure.figure(after.cost)
    return f"{trial.words}: {new:,} bytes of {measure.aim.unit} instead of {old:,}"


def _kept(name: str, trials: Sequence[Trial], state: State, size: int, reason: str) -> Row:
    return Row(
        name=name,
        chosen=None,
        trials=trials,
        before=state.cost,
        after=state.cost,
        ideal_before=size,
        ideal_after=size,
        reason=f"kept dense: {reason}",
    )
