"""The plan: which operations are done at once."""

from collections import Counter

from quantlab.integer.fast.geometry import constant_groups
from quantlab.integer.fast.layout import whole_rows
from quantlab.integer.fast.pools import Pooled, windows_of
from quantlab.integer.fast.products import Bits, Bytes, Made, Product, are_bits
from quantlab.integer.fast.rules import rule_of
from quantlab.integer.fast.single import Interpreted, Requantized
from quantlab.integer.fast.step import Step
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
    """Return the steps of a program: the codes of a layer's sums are made with the sums.

    Codes of two tensors are made with the one that comes last, when the other is there already.
    """
    made = _made(program)
    with_sums = {one.output for several in made.values() for one in several}
    readers = Counter(
        name for o in program.operations if o.output not in with_sums for name in set(o.inputs)
    )
    # A sum that codes of another layer's sums take is read there.
    readers.update(one.other for several in made.values() for one in several if one.other)
    steps: list[Step] = []
    for operation in program.operations:
        if operation.output in with_sums:
            continue
        if isinstance(operation, Convolution | Linear):
            is_read = readers[operation.output] > 0 or operation.output in program.outputs
            given = program.types[operation.inputs[0]]
            is_bits = are_bits(operation, given, program.bounds[operation.inputs[0]])
            multiply = Bits(operation, given) if is_bits else Bytes(operation, given)
            result, codes = program.types[operation.output], made[operation.output]
            steps.append(Product(operation, result, codes, multiply, is_read=is_read))
        else:
            steps.append(_single(program, operation))
    return steps


def _made(program: Program) -> dict[str, list[Made]]:
    """Return the codes that are made with each layer's sums, of them or of one another."""
    # Codes made with sums are there when the sums are.
    order = {name: i for i, name in enumerate(program.types)}
    products = [o for o in program.operations if isinstance(o, Convolution | Linear)]
    made: dict[str, list[Made]] = {operation.output: [] for operation in products}
    # The sums that a tensor is made with, and the groups of what is made of them.
    origin = {
        operation.output: operation.output
        for operation in products
        if isinstance(operation, Convolution) or len(program.types[operation.output].shape) != 3
    }
    groups = {operation.output: constant_groups(operation) for operation in products}
    for operation in program.operations:
        last = max(operation.inputs, key=order.__getitem__)
        others = [name for name in operation.inputs if order[name] < order[last]]
        if last not in origin or len(others) != len(operation.inputs) - 1:
            continue
        sums = origin[last]
        types = [program.types[name] for name in operation.inputs]
        rule = rule_of(operation, types, operation.inputs.index(last), groups[sums])
        if rule is None:
            continue
        order[operation.output], origin[operation.output] = order[last], sums
        places = {one.output: place for place, one in enumerate(made[sums])}
        made[sums].append(
            Made(
                rule=rule,
                other=others[0] if others else None,
                source=places.get(last),
                output=operation.output,
                kind=program.types[operation.output],
            )
        )
    return made


def _single(program: Program, operation: Operation) -> Step:
    types = [program.types[name] for name in operation.inputs]
    result = program.types[operation.output]
    if isinstance(operation, MaxPool | SumPool | AdaptiveSumPool):
        windows = windows_of(operation, types[0].shape)
        return Pooled(operation, windows, result) if windows else Interpreted(operation, result)
    rule = rule_of(operation, types, repeats=whole_rows(types[0].shape))
    return Requantized(operation, rule, result) if rule else Interpreted(operation, result)
