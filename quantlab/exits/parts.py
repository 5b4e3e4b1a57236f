"""A program with several exits in the order in which it can stop: what all further exits share, the
segments of a trunk, and between them the heads, each of which one exit alone reads.

Segment and head of the first exit come first, the last exit has a segment alone.
"""

from dataclasses import replace

from quantlab.integer.operations import Operation
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
        found.append((segment, head))
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
