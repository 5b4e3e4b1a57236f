"""Which operations of a program are done at once: sums, and what is made of them.

Codes are made of sums while these are in registers, or a few of them on a stack, so that sums are
stored only where something else reads them. Every back end groups a program by this function; which
operations it can do so is its own affair.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from quantlab.integer.operations import Convolution, Linear, MaxPool, Operation
from quantlab.integer.program import Program


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """An operation that is done with the sums of a layer or a pooling.

    side: which of its inputs is the sums, or what was made of them. source: the place among the
    group's `made` of the one whose result it takes; None: it takes the sums. other: the tensor that
    is its second input; None: it has none. pooling: of its result, which only this one reads; None:
    it has none.
    """

    operation: Operation
    side: int
    source: int | None
    other: str | None
    pooling: MaxPool | None = None

    @property
    def result(self) -> str:
        """The tensor that others read: the pooled one if there is a pooling."""
        return self.operation.output if self.pooling is None else self.pooling.output


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """Operations that are done at once, `operation` first.

    is_read: whether its own result is an output, or read outside the group.
    """

    operation: Operation
    made: tuple[Made, ...] = ()
    is_read: bool = True

    @property
    def inputs(self) -> tuple[str, ...]:
        """All tensors that it reads."""
        others = (one.other for one in self.made if one.other is not None)
        return (*self.operation.inputs, *others)


# Of an operation, which of its inputs is the sums, and what makes them.
CanMake = Callable[[Operation, int, Operation], bool]
# A pooling of what is made of sums, and what makes these.
CanPool = Callable[[MaxPool, Operation], bool]
LAYERS = (Convolution, Linear)


def grouped(
    program: Program,
    can_make: CanMake,
    most: int | None = None,
    sources: tuple[type[Operation], ...] = LAYERS,
    can_pool: CanPool | None = None,
) -> list[Group]:
    """Return the groups of a program, in the order in which they can be done.

    What is made of two tensors is done with the one that comes last, when the other is there
    already. can_make: whether a back end can do an operation with sums. most: how many are made
    with the same sums; None: any number. sources: the operations that make sums. can_pool: whether
    it can pool what it makes, before it is stored; None: nothing.
    """
    made = _made(program, can_make, most, sources)
    if can_pool is not None:
        made = _pooled(program, made, can_pool)
    with_sums = {one.operation.output for several in made.values() for one in several}
    with_sums |= {one.result for several in made.values() for one in several}
    readers = Counter(
        name for o in program.operations if o.output not in with_sums for name in set(o.inputs)
    )
    # A sum that codes of another layer's sums take is read there.
    readers.update(one.other for several in made.values() for one in several if one.other)
    return [
        Group(
            operation=operation,
            made=tuple(made.get(operation.output, ())),
            is_read=readers[operation.output] > 0 or operation.output in program.outputs,
        )
        for operation in program.operations
        if operation.output not in with_sums
    ]


def _made(
    program: Program, can_make: CanMake, most: int | None, sources: tuple[type[Operation], ...]
) -> dict[str, list[Made]]:
    """Return what is made with the sums of each source, of them or of one another."""
    # What is made with sums is there when the sums are.
    order = {name: i for i, name in enumerate(program.types)}
    layers = {o.output: o for o in program.operations if isinstance(o, sources)}
    made: dict[str, list[Made]] = {name: [] for name in layers}
    # The sums that a tensor is made with. Images of a Linear lie in another order.
    origin = {
        name: name
        for name, layer in layers.items()
        if not isinstance(layer, Linear) or len(program.types[name].shape) != 3
    }
    for operation in program.operations:
        last = max(operation.inputs, key=order.__getitem__)
        others = [name for name in operation.inputs if order[name] < order[last]]
        if last not in origin or len(others) != len(operation.inputs) - 1:
            continue
        sums, side = origin[last], operation.inputs.index(last)
        is_full = most is not None and len(made[sums]) >= most
        if is_full or not can_make(operation, side, layers[sums]):
            continue
        order[operation.output], origin[operation.output] = order[last], sums
        places = {one.operation.output: place for place, one in enumerate(made[sums])}
        made[sums].append(
            Made(
                operation=operation,
                side=side,
                source=places.get(last),
                other=others[0] if others else None,
            )
        )
    return made


def _pooled(
    program: Program, made: Mapping[str, list[Made]], can_pool: CanPool
) -> dict[str, list[Made]]:
    """Return what is made with the sums of each source, with the pooling of what else nothing
    reads."""
    readers: dict[str, list[Operation]] = {}
    for operation in program.operations:
        for name in set(operation.inputs):
            readers.setdefault(name, []).append(operation)
    layers = {operation.output: operation for operation in program.operations}

    def with_pooling(sums: str, one: Made) -> Made:
        name = one.operation.output
        match readers.get(name, []):
            case [MaxPool() as pooling] if name not in program.outputs:
                return replace(one, pooling=pooling) if can_pool(pooling, layers[sums]) else one
        return one

    return {sums: [with_pooling(sums, one) for one in several] for sums, several in made.items()}
