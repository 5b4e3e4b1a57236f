"""Rules: what of a network is quantized, and how.

{select: 'layer* & type:Conv2d & !first', on: weight, algorithm: {kind: ste, num_bits: 4}}
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Self

import torch
from pydantic import Field, SerializeAsAny, model_validator
from torch import Tensor, nn

from quantlab.algorithms.algorithm import AlgorithmConfig
from quantlab.algorithms.attention import (
    attention_of,
    call_layers,
    check_attention,
    open_attention,
)
from quantlab.algorithms.layers import Target, attach, carries, check_attachable
from quantlab.algorithms.site import Site
from quantlab.algorithms.table import ALGORITHMS
from quantlab.controller import Controller
from quantlab.errors import UsageError, check_kind
from quantlab.graphs.select import quantizable_layers, select
from quantlab.graphs.values import makes_value, value_layers
from quantlab.graphs.weights import output_axis, weight_of
from quantlab.quantizer import Quantizer
from quantlab.settings import Settings
from quantlab.tagged import Tagged


@contextmanager
def _within(prefix: str) -> Iterator[None]:
    """Put before a caller's error where in the config it is."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{prefix}{error}") from error


class QuantRule(Settings):
    """One algorithm for one tensor, the weight, input or output, of each selected layer.

    select: see `quantlab.graphs.select`. Layers without weights (activations, poolings, additions
    that are modules) have outputs alone; they are chosen among if a part matches no other layer.
    """

    select: str
    on: Target
    algorithm: Annotated[SerializeAsAny[AlgorithmConfig], Tagged("kind", ALGORITHMS)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        select(self.select)
        with _within("algorithm."):
            self.algorithm.check(self.on)
        return self


class QuantizeConfig(Settings):
    """The config section `quantize`."""

    rules: list[QuantRule] = Field(default=[])


def quantize(
    network: nn.Module, rules: QuantizeConfig | Iterable[QuantRule | Mapping[str, Any]]
) -> list[Controller]:
    """Give the layers of a network the quantizers that the rules ask for, in place.

    rules: a config, or its rules, each also as a config has it: `{"select": "*", "on": ...}`.

    Returns one controller for each rule; until they are called, the network computes what it did.
    Parameters stay the objects they were, but algorithms may add some of their own: make the
    optimizer afterwards.

    Raises UsageError, with the network untouched, if a rule selects no layer, if two rules are
    about the same tensor, or if a layer cannot carry quantizers.
    """
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    rules = _rules_of(rules)
    taken: dict[tuple[str, Target], str] = {
        (name, on): "the network already"
        for name, layer in network.named_modules()
        for on in carries(layer)
    }
    plans: list[tuple[QuantRule, dict[str, tuple[nn.Module, Quantizer]]]] = []
    for index, rule in enumerate(rules):
        where = f"quantize.rules.{index}"
        plan: dict[str, tuple[nn.Module, Quantizer]] = {}
        with _within(f"{where}."):
            layers = _chosen(network, rule)
        for name, layer in layers.items():
            other = taken.setdefault((name, rule.on), where)
            if other != where:
                raise UsageError(
                    f"{where}: {rule.on} of '{name}' given, which {other} quantizes; "
                    f"one rule for each tensor allowed"
                )
            attention = attention_of(network, name)
            with _within(f"{where}: "):
                if attention is None:
                    check_attachable(layer, name, rule.on)
                else:
                    check_attention(attention, name, rule.on)
            with _within(f"{where}.algorithm."):
                quantizer = rule.algorithm.quantizer(
                    rule.on, _weight_of(network, layer), output_axis=output_axis(layer)
                )
            plan[name] = (layer, quantizer)
        plans.append((rule, plan))
    controllers = [_carry_out(network, rule, plan) for rule, plan in plans]
    call_layers(network)
    return controllers


def _chosen(network: nn.Module, rule: QuantRule) -> dict[str, nn.Module]:
    """Return the layers that a rule selects: among those with weights or, for outputs, among all
    that make a tensor, if a part of the selector matches none with weights."""
    selector, layers = select(rule.select), quantizable_layers(network)
    if rule.on == "output" and not selector.is_about(layers):
        layers = value_layers(network)
    return selector.among(layers)


def _weight_of(network: nn.Module, layer: nn.Module) -> Tensor:
    """Return the weight of a layer; of one without, a number where the network's parameters are."""
    if not makes_value(layer):
        return weight_of(layer)
    parameter = next(network.parameters(), torch.zeros(()))
    return torch.zeros((), dtype=parameter.dtype, device=parameter.device)


def _rules_of(given: object) -> list[QuantRule]:
    """Return rules in whatever form they were given."""
    if isinstance(given, QuantizeConfig):
        return given.rules
    if isinstance(given, str | Mapping | QuantRule) or not isinstance(given, Iterable):
        raise UsageError(
            f"rules: a {type(given).__name__} given, a QuantizeConfig or a list of rules allowed"
        )
    return QuantizeConfig(rules=list(given)).rules


def _carry_out(
    network: nn.Module, rule: QuantRule, plan: dict[str, tuple[nn.Module, Quantizer]]
) -> Controller:
    for name, (layer, quantizer) in plan.items():
        attention = attention_of(network, name)
        if attention is not None:
            open_attention(attention)
        attach(layer, rule.on, quantizer.to(_weight_of(network, layer).device))
    sites = [
        Site(
            name=f"{name}.{rule.on}_quantizer".lstrip("."),
            on=rule.on,
            layer=layer,
            quantizer=quantizer,
        )
        for name, (layer, quantizer) in plan.items()
    ]
    controller = rule.algorithm.controller(sites)
    controller.learned = {
        f"{site.name}.{name}": parameter
        for site in sites
        for name, parameter in site.quantizer.named_parameters()
    }
    return controller
