"""Convert a network: its layers generate their weights."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from quantlab.errors import UsageError, check_kind
from quantlab.generation.config import MLGConfig
from quantlab.generation.layers import (
    MLGConv2d,
    MLGLinear,
    check_smaller,
    checked_shapes,
    dense_bits,
    make_generated,
    projection_for,
    put_projection,
    share_factors,
    stays_dense,
    weight_shape,
)
from quantlab.generation.projected import ProjectedFactors
from quantlab.generation.projection import Method
from quantlab.generation.spec import MLGSpec
from quantlab.generation.use_mode import chosen_mode
from quantlab.graphs.select import quantizable_layers, select


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A layer that generates its weight.

    num_bits: of its factors; 0 if it shares those of another layer. error: |W - generated| / |W| of
    a projection, None for random factors.
    """

    layer: str
    shape: tuple[int, ...]
    spec: MLGSpec
    num_bits: int
    error: float | None


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What `convert` did. dense: the selected layers that stay as they are."""

    rows: tuple[Converted, ...]
    dense: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{'layer':<32}{'weight':<16}{'bases':<9}{'bits':<8}{'bytes':>9}{'error':>8}"]
        for row in self.rows:
            shape, spec = "x".join(map(str, row.shape)), row.spec
            bases = f"{spec.base_in}-{spec.base_out}"
            bits = f"{spec.basis_bit}-{spec.coeff_in_bit}-{spec.coeff_out_bit}"
            error = "" if row.error is None else f"{row.error:.3f}"
            size = f"{row.num_bits / 8:,.0f}"
            lines.append(f"{row.layer:<32}{shape:<16}{bases:<9}{bits:<8}{size:>9}{error:>8}")
        return "\n".join([*lines, *(f"{name:<32}stays dense" for name in self.dense)])


@dataclass(frozen=True, kw_only=True)
class _Plan:
    layer: nn.Module
    spec: MLGSpec


def convert(
    network: nn.Module, config: MLGConfig | Mapping[str, Any], *, seed: int = 0
) -> Conversion:
    """Make the layers of a network generate their weights, in place.

    config: also as a config has it, `{"base_in": 2, "base_out": 44, ...}`. Factors begin with the
        projection of the weights that the layers have, by `projection_alg`; without one at random.
    seed: of the projection `train`.

    Layers stay the objects they were; layers that share a weight share factors. Their weights go,
    and parameters come: make the optimizer afterwards (`check_optimizer`).

    Raises UsageError, with the network untouched, if a selector matches no layer, two rules are
    about the same layer, no layer can be generated, one of a rule cannot or its factors have more
    bits than its weight, all factors have more than all weights, layers of one weight are to have
    different factors, a weight is not finite or too large to be projected, or another module has
    the weight of one.
    """
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    if not isinstance(config, MLGConfig):
        check_kind("config", config, Mapping, "an MLGConfig, or a mapping of its keys,")
        config = MLGConfig(**config)
    plans, dense = _planned(network, config)
    _check_owners(network, plans)
    projections = _projections(plans, config.projection_alg, seed)
    owners: dict[nn.Parameter, MLGConv2d | MLGLinear] = {}
    rows: list[Converted] = []
    for name, plan in plans.items():
        layer, spec = plan.layer, plan.spec
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        weight, error, num_bits = layer.get_parameter("weight"), None, 0
        if weight in owners:
            share_factors(layer, owners[weight])
        else:
            num_bits = checked_shapes(layer, spec).num_bits(spec)
            if weight in projections:
                error = put_projection(layer, spec, projections.pop(weight))
            else:
                make_generated(layer, spec)
        assert isinstance(layer, MLGConv2d | MLGLinear)
        layer.weight_decay, layer.mode = config.weight_decay, chosen_mode(layer, config.mode)
        owners.setdefault(weight, layer)
        row = Converted(
            layer=name, shape=weight_shape(layer), spec=spec, num_bits=num_bits, error=error
        )
        rows.append(row)
    return Conversion(rows=tuple(rows), dense=tuple(dense))


def _projections(
    plans: Mapping[str, _Plan], method: Method | None, seed: int
) -> dict[nn.Parameter, ProjectedFactors]:
    """Return the projection of each weight, none if there is no method."""
    made: dict[nn.Parameter, ProjectedFactors] = {}
    if method is None:
        return made
    for name, plan in plans.items():
        layer = plan.layer
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        weight = layer.get_parameter("weight")
        if weight not in made:
            try:
                made[weight] = projection_for(layer, weight, plan.spec, method=method, seed=seed)
            except UsageError as error:
                raise UsageError(f"mlg: {name}: {error}") from error
    return made


def _planned(network: nn.Module, config: MLGConfig) -> tuple[dict[str, _Plan], list[str]]:
    """Return what each layer becomes, in the order of the network, and which stay dense."""
    layers = quantizable_layers(network)
    of_rule: dict[str, int] = {}
    for index, rule in enumerate(config.rules):
        for name in _selected(f"mlg.rules.{index}", rule.select, network):
            other = of_rule.setdefault(name, index)
            if other != index:
                raise UsageError(
                    f"mlg.rules.{index}: '{name}' given, which mlg.rules.{other} is about; one "
                    "rule for each layer allowed"
                )
    usual = set(_selected("mlg.layers", config.layers, network))
    plans: dict[str, _Plan] = {}
    dense: list[str] = []
    for name, layer in layers.items():
        if name not in of_rule and name not in usual:
            continue
        chosen = config.rules[of_rule[name]] if name in of_rule else None
        where = "mlg.layers" if chosen is None else f"mlg.rules.{of_rule[name]}"
        spec = config.spec_for(chosen)
        if chosen is not None and chosen.dense:
            dense.append(name)
            continue
        try:
            if chosen is None and stays_dense(layer, spec):
                dense.append(name)
                continue
            checked_shapes(layer, spec)
            if chosen is not None:
                check_smaller(layer, spec)
        except UsageError as error:
            raise UsageError(f"{where}: {name}: {error}") from error
        plans[name] = _Plan(layer=layer, spec=spec)
    if dense and not plans and all(name in of_rule for name in dense):
        raise UsageError(
            "mlg.rules: all selected layers stay dense, at least one that is generated needed"
        )
    if not plans:
        raise UsageError(
            f"mlg: base_in {config.base_in}, base_out {config.base_out} given, of which no "
            "selected layer has fewer terms; smaller ones above 0 allowed"
        )
    _check_ties(plans)
    _check_total(plans)
    return plans, dense


def _check_ties(plans: Mapping[str, _Plan]) -> None:
    """Raise UsageError if layers of one weight are to have different factors."""
    first: dict[nn.Parameter, str] = {}
    for name, plan in plans.items():
        other = first.setdefault(plan.layer.get_parameter("weight"), name)
        if plan.spec != plans[other].spec:
            raise UsageError(
                f"mlg.rules: '{name}' and '{other}' given differently, which share one weight; the "
                "same for both allowed"
            )


def _check_total(plans: Mapping[str, _Plan]) -> None:
    """Raise UsageError if all factors together have more bits than the weights. Those of some
    layers may by the published rules."""
    bits = sum(checked_shapes(p.layer, p.spec).num_bits(p.spec) for p in plans.values())
    allowed = sum(dense_bits(plan.layer) for plan in plans.values())
    if bits > allowed:
        raise UsageError(
            f"mlg: the factors of the selected layers have {bits:,} bits, at most the "
            f"{allowed:,} of their weights allowed"
        )


def _selected(where: str, selector: str, network: nn.Module) -> Iterable[str]:
    try:
        return select(selector).resolve(network)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _check_owners(network: nn.Module, plans: Mapping[str, _Plan]) -> None:
    """Raise UsageError if a module that stays as it is has the weight of a layer that does not."""
    weights = {plan.layer.get_parameter("weight"): name for name, plan in plans.items()}
    changed = {plan.layer for plan in plans.values()}
    for other, module in network.named_modules():
        if module in changed:
            continue
        for parameter in module._parameters.values():
            if parameter in weights:
                name = weights[parameter]
                raise UsageError(
                    f"mlg: '{name}' given, whose weight is also that of '{other}', which stays "
                    f"dense; give each its own, or leave it out with '!{name}'"
                )
