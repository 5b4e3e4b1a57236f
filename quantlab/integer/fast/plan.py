"""The plan: which operations are done at once, on which kernels."""

from collections.abc import Mapping
from dataclasses import replace

from quantlab.backend import CodesRule
from quantlab.integer.fast.geometry import constant_groups
from quantlab.integer.fast.layout import whole_rows
from quantlab.integer.fast.pools import Pooled, windows_of
from quantlab.integer.fast.products import Bits, Bytes, Made, Product
from quantlab.integer.fast.rules import rule_of
from quantlab.integer.fast.single import Interpreted, Requantized
from quantlab.integer.fast.stages import Chain, Staged, StagedBytes, chains
from quantlab.integer.fast.step import Step
from quantlab.integer.groups import Group, grouped
from quantlab.integer.layout.choice import are_bits
from quantlab.integer.operations import (
    AdaptiveSumPool,
    Convolution,
    Linear,
    MaxPool,
    Operation,
    SumPool,
)
from quantlab.integer.program import Program


def plan(program: Program) -> list[Step]:
    """Return the steps of a program: the codes of a layer's sums are made with the sums."""
    # The rule of each operation that is made with sums, by its output.
    rules: dict[str, CodesRule] = {}

    def can_make(operation: Operation, side: int, layer: Operation) -> bool:
        assert isinstance(layer, Convolution | Linear)
        types = [program.types[name] for name in operation.inputs]
        rule = rule_of(operation, types, side, constant_groups(layer))
        if rule is not None:
            rules[operation.output] = rule
        return rule is not None

    groups = grouped(program, can_make)
    steps = {group.operation.output: _step(program, group, rules) for group in groups}
    for chain in chains(program, groups):
        *before, last = (group.operation.output for group in chain.groups)
        parts = [steps.pop(output) for output in before]
        steps[last] = Staged(_whole(program, chain), parts)
    return list(steps.values())


def _step(program: Program, group: Group, rules: Mapping[str, CodesRule]) -> Step:
    operation = group.operation
    if not isinstance(operation, Convolution | Linear):
        return _single(program, operation)
    given = program.types[operation.inputs[0]]
    is_bits = are_bits(operation, given, program.bounds[operation.inputs[0]])
    multiply = Bits(operation, given) if is_bits else Bytes(operation, given)
    result = program.types[operation.output]
    made = _made(program, group, rules)
    return Product(operation, result, made, multiply, is_read=group.is_read)


def _whole(program: Program, chain: Chain) -> Step:
    """Return the step of all layers of a chain."""
    group = chain.groups[-1]
    rules = {}
    for one in group.made:
        types = [program.types[name] for name in one.operation.inputs]
        rule = rule_of(one.operation, types, one.side)
        assert rule is not None  # as for the layer alone, but for its groups
        rules[one.operation.output] = rule
    first, last = chain.groups[0].operation, group.operation
    assert isinstance(last, Convolution)
    return Product(
        replace(last, inputs=first.inputs),
        program.types[last.output],
        _made(program, group, rules),
        StagedBytes(program, chain),
        is_read=group.is_read,
    )


def _made(program: Program, group: Group, rules: Mapping[str, CodesRule]) -> list[Made]:
    return [
        Made(
            rule=rules[one.operation.output],
            other=one.other,
            source=one.source,
            output=one.operation.output,
            kind=program.types[one.operation.output],
        )
        for one in group.made
    ]


def _single(program: Program, operation: Operation) -> Step:
    types = [program.types[name] for name in operation.inputs]
    result = program.types[operation.output]
    if isinstance(operation, MaxPool | SumPool | AdaptiveSumPool):
        windows = windows_of(operation, types[0].shape)
        return Pooled(operation, windows, result) if windows else Interpreted(operation, result)
    rule = rule_of(operation, types, repeats=whole_rows(types[0].shape))
    return Requantized(operation, rule, result) if rule else Interpreted(operation, result)
