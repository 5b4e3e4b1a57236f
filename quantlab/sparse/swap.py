"""Swap: the layers of a pruned network that are faster in another form, measured one by one.

    network, report = swap_layers(network, (3, 32, 32), batch_size=128)
    print(report)

The rule: a Linear or Conv2d of which at least `min_sparsity` is zero is replaced by the candidate
of the least cost, if

    cost(dense) > (1 + min_gain) cost(candidate),

where the cost is that of forward and backward of the layer alone, on the inputs that it gets in the
network. All other layers stay, and a mask holds their zeros, as `quantlab.sparse.zeros` defines.
"""

import copy
import sys
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from quantlab.errors import UsageError, check_kind, did_you_mean
from quantlab.graphs.replace import (
    DenseLayer,
    dense_layer,
    dense_layers,
    replace_modules,
)
from quantlab.graphs.shapes import Example
from quantlab.sparse import zeros
from quantlab.sparse.calls import Call, layer_calls
from quantlab.sparse.candidates import CANDIDATES, DENSE, Candidate
from quantlab.sparse.example import example_of
from quantlab.sparse.layer import SparseLayer
from quantlab.sparse.measure import Costs, Measure, Step
from quantlab.sparse.obstacle import obstacle
from quantlab.sparse.swap_report import LayerSwap, Objective, SwapReport
from quantlab.sparse.swap_rule import Rule, allowed, measure_of

Verdict = tuple[str, str]  # a candidate's name, and why


def swap_modules_with_sparse(
    model: nn.Module,
    input_shape: Sequence[int],
    inplace: bool = False,
    verbose: bool = False,
    prototype: bool = False,
    quantize: bool = False,
    vectorizing_over_on: bool | None = None,
    *,
    batch_size: int | None = None,
    skip_modules: Collection[str] = (),
    hold_zeros: bool = True,
) -> nn.Module:
    """Return what `swap_layers` returns, the network alone; the arguments are described there.

    prototype, vectorizing_over_on: hints that other libraries take; they have no effect and warn.
    """
    _warn_of_hints(prototype, vectorizing_over_on)
    network, _ = swap_layers(
        model,
        input_shape,
        inplace=inplace,
        verbose=verbose,
        quantize=quantize,
        batch_size=batch_size,
        skip_modules=skip_modules,
        hold_zeros=hold_zeros,
    )
    return network


def swap_layers(
    model: nn.Module,
    input_shape: Sequence[int] | None = None,
    *,
    inplace: bool = False,
    verbose: bool = False,
    quantize: bool = False,
    batch_size: int | None = None,
    example_input: Example | None = None,
    skip_modules: Collection[str] = (),
    min_sparsity: float = 0.8,
    min_gain: float = 0.1,
    objective: Objective = "time",
    choices: Mapping[str, str] | None = None,
    hold_zeros: bool = True,
    candidates: Mapping[str, Candidate] = CANDIDATES,
    measure: Measure | None = None,
) -> tuple[nn.Module, SwapReport]:
    """Return the network with its sparse layers in their fastest form, and what was measured.

    input_shape: 4 or 2 sizes have the batch first, `[B, C, H, W]` or `[B, F]`; 3 or 1 are those of
        a sample, `[C, H, W]` or `[F]`, and `batch_size`, 32 if not given, is put before them.
        Other inputs, such as tokens, are given as `example_input` instead, a tensor or a tuple.
        The sizes should be those of training: which form is fastest depends on them.
    inplace: whether the given model is changed; otherwise it is left as it is and a copy returned.
        A model that is itself a layer is returned anew if it is replaced. Parameters of replaced
        layers are new: make the optimizer afterwards.
    verbose: whether the report is printed.
    quantize: whether candidates of 8 bits are allowed too; they are taken only if they win.
    skip_modules: layers that stay, by the names of their own or of modules around them.
    objective: "time", the median of interleaved repeats, one alone for candidates that take more
        than four times the least time; "memory", the bytes saved for backward, of parameters and
        buffers, and of gradients.
    choices: candidates by layer name, instead of the rule; nothing is measured for these.
    hold_zeros: whether the zeros of layers that are dense afterwards, skipped ones too, stay zeros
        in training, as they do in sparse layers; else training changes them. Layers of zeros alone
        are warned of.
    candidates, measure: what is tried, and what finds the cost.

    The shapes of inputs are those of one forward pass in training mode, on a copy: no batch norm
    advances, nor do torch's random numbers. A layer that stands or is called at several places
    counts with all its calls, and stays one layer. Those that the pass does not reach, that may
    compute something else (subclasses, hooks) or share a parameter stay, and the report says so.
    A mask adds nothing to the state. Under autocast the costs are those under autocast.
    Raises UsageError.
    """
    check_kind("model", model, nn.Module, "a torch.nn.Module")
    example = example_of(model, input_shape, batch_size, example_input)
    usual = measure_of(objective)
    rule = Rule(
        min_sparsity=min_sparsity,
        min_gain=min_gain,
        candidates=allowed(candidates, quantize),
        measure=measure or usual,
    )
    network = model if inplace else _copied(model)
    _check_eight_bits(choices or {}, candidates, rule.candidates)
    verdicts = _verdicts(network, choices or {}, skip_modules, rule.candidates)
    with torch.random.fork_rng(devices=[]):
        swaps = _swaps(network, _copied(model), example, rule, verdicts)
    layers = dense_layers(network)
    new: dict[nn.Module, nn.Module] = {
        layers[swap.name]: rule.candidates[swap.chosen].make(layers[swap.name]) for swap in swaps
    }
    parents = _parents(network)
    if not hold_zeros:
        zeros.release_zeros(network)
    held = [
        _with_zeros_held(swap, new[layers[swap.name]], parents[layers[swap.name]], hold_zeros)
        for swap in swaps
    ]
    for swap in held:
        if swap.sparsity == 1 and swap.zeros_held_by in ("pattern", "mask"):
            warnings.warn(
                f"layer '{swap.name}': all weights are zero, and stay zero in training",
                stacklevel=2,
            )
    report = SwapReport(objective=objective, layers=tuple(held))
    if verbose:
        sys.stdout.write(f"{report}\n")
    return replace_modules(network, new), report


def _with_zeros_held(
    swap: LayerSwap, layer: nn.Module, parents: Sequence[nn.Module], is_asked: bool
) -> LayerSwap:
    """Hold the zeros of what stands in a layer's place, if asked; return the layer's report with
    what holds them."""
    if isinstance(layer, SparseLayer):
        return replace(swap, zeros_held_by="pattern")
    if swap.sparsity == 0:
        return swap
    if not is_asked:
        return replace(swap, zeros_held_by="nothing")
    if not isinstance(layer, DenseLayer):
        kind = f"{type(layer).__name__} is no Linear or Conv2d, so its zeros are not held"
        return replace(swap, zeros_held_by="nothing", reason=f"{swap.reason}; {kind}")
    refusal = zeros.hold_zeros(layer, readers=() if swap.calls else parents)
    if refusal is None:
        return replace(swap, zeros_held_by="mask")
    return replace(swap, zeros_held_by="nothing", reason=f"{swap.reason}; {refusal}")


def _parents(network: nn.Module) -> dict[nn.Module, list[nn.Module]]:
    """Return the modules whose children have each module, none of the network itself."""
    found: dict[nn.Module, list[nn.Module]] = {module: [] for module in network.modules()}
    for module in network.modules():
        for child in module.children():
            found[child].append(module)
    return found


def _swaps(
    network: nn.Module,
    trial: nn.Module,
    example: Example,
    rule: Rule,
    verdicts: Mapping[DenseLayer, Verdict],
) -> list[LayerSwap]:
    """Return what becomes of each layer. trial: a copy of the network, to call and measure."""
    trials = dense_layers(trial)
    calls = layer_calls(trial, trials, example)
    swaps = []
    for name, layer in dense_layers(network).items():
        sparsity = 1 - int(layer.weight.count_nonzero()) / max(layer.weight.numel(), 1)
        verdict = verdicts.get(layer) or _stays(network, layer, sparsity, calls[name], rule)
        costs = Costs({})
        refusals: Mapping[str, str] = {}
        if verdict is None:
            layers, refusals = _built(trials[name], calls[name], rule.candidates)
            costs = rule.measure(layers, calls[name])
            verdict = rule.best(costs.of_each, costs.dropped)
        swaps.append(
            LayerSwap(
                name=name,
                kind=type(layer).__name__,
                sparsity=sparsity,
                calls=calls[name],
                costs=costs.of_each,
                refusals=refusals,
                dropped=[name for name in costs.of_each if name in costs.dropped],
                chosen=verdict[0],
                reason=verdict[1],
            )
        )
    return swaps


def _stays(
    network: nn.Module, layer: DenseLayer, sparsity: float, calls: Sequence[Call], rule: Rule
) -> Verdict | None:
    """Return the verdict on a layer that need not be measured, None if it must be."""
    if sparsity < rule.min_sparsity:
        return DENSE, f"less than {100 * rule.min_sparsity:g} % zeros"
    if not calls:
        return DENSE, "not called in the forward pass"
    reason = obstacle(network, layer)
    return None if reason is None else (DENSE, reason)


def _built(
    layer: DenseLayer, calls: Sequence[Call], candidates: Mapping[str, Candidate]
) -> tuple[dict[str, nn.Module], dict[str, str]]:
    """Return the candidates of a layer that take its calls, and why the others do not."""
    layers: dict[str, nn.Module] = {}
    refusals: dict[str, str] = {}
    for name, candidate in candidates.items():
        try:
            made = candidate.make(layer)
            Step.of(made, calls)
            layers[name] = made
        except UsageError as error:
            refusals[name] = str(error)
    return layers, refusals


def _verdicts(
    network: nn.Module,
    choices: Mapping[str, str],
    skip_modules: Collection[str],
    candidates: Mapping[str, Candidate],
) -> dict[DenseLayer, Verdict]:
    """Return what the caller says of layers. Raises UsageError."""
    chosen = {
        _choosable(network, name, choice, candidates): (choice, "the caller's choice")
        for name, choice in choices.items()
    }
    skipped = {layer for name in skip_modules for layer in _below(network, name)}
    if not skipped.isdisjoint(chosen):
        raise UsageError("skip_modules: has a layer that is among the choices too")
    return {**dict.fromkeys(skipped, (DENSE, "skipped")), **chosen}


def _check_eight_bits(
    choices: Mapping[str, str],
    known: Mapping[str, Candidate],
    candidates: Mapping[str, Candidate],
) -> None:
    """Raise UsageError for a choice that is known, but no candidate without `quantize`."""
    for name, choice in choices.items():
        if choice in known and choice not in candidates:
            raise UsageError(f"choices.{name}: '{choice}' given, allowed with quantize=True only")


def _choosable(
    network: nn.Module, name: str, choice: str, candidates: Mapping[str, Candidate]
) -> DenseLayer:
    """Return the layer of a choice, checked to have that candidate."""
    layer = dense_layer(network, name, "choices")
    if choice not in candidates:
        hint = did_you_mean(choice, candidates) or f"; {', '.join(candidates)} allowed"
        raise UsageError(f"choices.{name}: unknown candidate '{choice}'{hint}")
    reason = None if choice == DENSE else obstacle(network, layer)
    if reason is not None:
        raise UsageError(f"choices.{name}: cannot be replaced: {reason}")
    return layer


def _below(network: nn.Module, name: str) -> list[DenseLayer]:
    """Return the layers at or below the module of a name."""
    modules = dict(network.named_modules(remove_duplicate=False))
    if name not in modules:
        raise UsageError(f"skip_modules: unknown module '{name}'{did_you_mean(name, modules)}")
    found = [m for m in modules[name].modules() if isinstance(m, DenseLayer)]
    if not found:
        raise UsageError(f"skip_modules: '{name}' has no Linear and no Conv2d layer")
    return found


def _warn_of_hints(prototype: bool, vectorizing_over_on: bool | None) -> None:
    given = {"prototype": prototype, "vectorizing_over_on": vectorizing_over_on is not None}
    hints = " and ".join(name for name, is_given in given.items() if is_given)
    if hints:
        warnings.warn(f"{hints}: a hint to other libraries, without effect here", stacklevel=3)


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except (RuntimeError, TypeError) as error:
        raise UsageError(f"model: cannot be copied: {error}") from error
