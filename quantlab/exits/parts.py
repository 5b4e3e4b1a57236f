"""A program with several exits in the order in which it can stop: what all further exits share, the
segments of a trunk, and between them the heads, each of which one exit alone reads.

Segment and head of the first exit come first, the last exit has a segment alone. What a head pools
of a layer inside a segment is pooled there: the pooled tensor waits for the head in the layer's
place.
"""

from dataclasses import replace
from math import prod

from quantlab.integer.operations import Convolution, Linear, MaxPool, Operation
from quantlab.integer.program import Program

Operations = tuple[Operation, ...]


def parts_of(program: Program) -> list[tuple[Operations, Operations]]:
    """Return the segment and the head of each output, in their order.

    What no output reads is part of the last segment.
    """
    needed = [_needed(program, name) for name in program.outputs]
    placed: set[str] = set()
    found = []
    for number, own in enumerate(needed):
        later = set[str]().union(*needed[number + 1 :])
        is_last = number == len(needed) - 1
        now = [o for o in program.operations if o.output not in placed and o.output in own]
        if is_last:
            now = [o for o in program.operations if o.output not in placed]
        placed.update(operation.output for operation in now)
        is_shared = [is_last or operation.output in later for operation in now]
        segment = tuple(o for o, shared in zip(now, is_shared, strict=True) if shared)
        head = tuple(o for o, shared in zip(now, is_shared, strict=True) if not shared)
        found.append(_with_pools(program, segment, head))
    return found


def in_order(program: Program) -> Program:
    """Return a program whose operations come segment by segment, each head behind its segment."""
    operations = [o for segment, head in parts_of(program) for o in (*segment, *head)]
    return replace(program, operations=tuple(operations))


def programs_of(program: Program) -> list[tuple[Program | None, Program | None]]:
    """Return the segment and the head of each output as programs of their own; None where there is
    nothing to compute.

    Each takes the tensors that it reads of those before it, and gives those that any other reads,
    or that are outputs.
    """
    parts = parts_of(program)
    return [
        (_program(program, segment) if segment else None, _program(program, head) if head else None)
        for segment, head in parts
    ]


def _with_pools(
    program: Program, segment: Operations, head: Operations
) -> tuple[Operations, Operations]:
    """Return a segment with the poolings of its head in front of the first operation that is not
    needed for them, and the rest of the head."""
    pools = _pools(program, head)
    missing = {operation.output for operation in (*segment, *head)}
    found: list[Operation] = []

    def place(operation: Operation) -> None:
        found.append(operation)
        missing.remove(operation.output)

    for operation in segment:
        for pool in pools:
            if pool.output in missing and not missing & set(pool.inputs):
                place(pool)
        place(operation)
    return tuple(found), tuple(o for o in head if o.output in missing)


def _pools(program: Program, head: Operations) -> Operations:
    """Return the operations of a head that make the inputs of its poolings, and these, as far as
    they are computed without weights."""
    made = {operation.output: operation for operation in head}
    found: set[str] = set()
    for operation in head:
        sizes = [prod(program.types[n].shape) for n in (operation.output, operation.inputs[0])]
        if isinstance(operation, MaxPool) and sizes[0] < sizes[1]:
            own = _needed(program, operation.output) & made.keys()
            if not any(isinstance(made[name], Convolution | Linear) for name in own):
                found |= own
    return tuple(operation for operation in head if operation.output in found)


def _needed(program: Program, name: str) -> set[str]:
    """Return the results that a tensor is made of, its own among them."""
    found = {name}
    for operation in reversed(program.operations):
        if operation.output in found:
            found.update(operation.inputs)
    return found


def _program(program: Program, operations: Operations) -> Program:
    made = {operation.output for operation in operations}
    read = dict.fromkeys(name for o in operations for name in o.inputs if name not in made)
    elsewhere = {name for o in program.operations if o.output not in made for name in o.inputs}
    elsewhere |= set(program.outputs)
    outputs = tuple(o.output for o in operations if o.output in elsewhere)
    return Program(
        inputs={name: program.types[name] for name in read},
        operations=operations,
        outputs=outputs or (operations[-1].output,),
    )
