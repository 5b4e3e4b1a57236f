"""Join neighboring operations of a float program, so that one call of the kernels computes them.

    convolution + residual + bounds      one step
    max or mean of windows               one step
    sum + bounds                         one step

Steps that follow one another, and of which others read the last one alone, are one operation.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, prod

import numpy as np

from quantlab.floats.functions import Function
from quantlab.floats.operations import Elementwise, Operation, Pool, Product, Range
from quantlab.floats.program import FloatProgram

Shape = tuple[int, int, int]
Bounds = tuple[float, float]
UNBOUNDED: Bounds = (-inf, inf)


@dataclass(kw_only=True, eq=False)
class Step:
    """operation: what begins it. inputs: arrays that it reads, of a product the residual last.
    output: the array that it writes. shape: `[H, W, C]` of both, and of the first input."""

    operation: Product | Pool | Elementwise
    inputs: list[str]
    output: str
    input_shape: Shape
    output_shape: Shape
    bounds: Bounds = UNBOUNDED


@dataclass(frozen=True, kw_only=True, eq=False)
class Joined(Operation):
    """Steps in order, the last of which writes the output."""

    steps: Sequence[Step]

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(shapes_read(self.steps))


def shapes_read(steps: Sequence[Step]) -> dict[str, Shape]:
    """Return the images that steps read and none of them makes, by array."""
    made = {step.output for step in steps}
    return {name: shape for step in steps for name, shape in _reads(step) if name not in made}


def _reads(step: Step) -> Iterator[tuple[str, Shape]]:
    for place, name in enumerate(step.inputs):
        yield name, step.output_shape if place else step.input_shape


def join(program: FloatProgram) -> FloatProgram:
    """Return a program of joined operations, and of those that no step is."""
    found = _Found(program)
    for operation in program.operations:
        found.take(operation)
    operations = list(_joined(found.items, Counter(found.reads())))
    return replace(program, operations=operations, sizes={**program.sizes, **found.sizes})


@dataclass
class _Found:
    """What has been found so far. items: steps, and operations that are none. made: the step that
    writes an array. shapes: of arrays as images. sizes: of arrays that the program does not have.
    """

    program: FloatProgram
    items: list[Step | Operation] = field(default_factory=list)
    made: dict[str, Step] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        operations = self.program.operations
        self._num_writers = Counter(operation.output for operation in operations)
        self._num_readers = Counter(name for one in operations for name in one.inputs)
        self._num_readers.update(result.array for result in self.program.results.values())

    def take(self, operation: Operation) -> None:
        """Add an operation to a step, or begin one with it, or keep it as it is."""
        step = None
        if self._num_writers[operation.output] == 1:
            step = self._ended(operation) or self._begun(operation)
        if step is None:
            self.items.append(operation)
            return
        self.items.append(step)
        self.made[step.output] = step
        self.shapes[step.output] = step.output_shape

    def reads(self) -> Iterator[str]:
        """Yield the arrays that are read, as often as they are."""
        for item in self.items:
            yield from item.inputs
        for result in self.program.results.values():
            yield result.array

    def _ended(self, operation: Operation) -> Step | None:
        """Take back the step that an operation ends, with it; None if it ends none."""
        if not isinstance(operation, Elementwise) or not self._is_of_all(operation):
            return None
        step = self._with_residual(operation) or self._with_bounds(operation)
        if step is not None:
            self.items.remove(step)
            step.output = operation.output
        return step

    def _with_bounds(self, operation: Elementwise) -> Step | None:
        bounds = bounds_of(operation.function)
        step = self._open(operation.input)
        if bounds is None or step is None or isinstance(step.operation, Pool):
            return None
        step.bounds = bounds
        return step

    def _with_residual(self, operation: Elementwise) -> Step | None:
        names = (operation.other, operation.input)
        if operation.function.name != "add" or operation.other is None or names[0] == names[1]:
            return None
        for name, residual in (names, names[::-1]):
            step = self._open(name)
            if step is not None and isinstance(step.operation, Product) and len(step.inputs) == 1:
                step.inputs.append(str(residual))
                return step
        return None

    def _open(self, name: str | None) -> Step | None:
        """Return the step that makes an array, if it may go on: one other reads it, and there are
        no bounds yet."""
        if name is None or name not in self.made or self._num_readers[name] != 1:
            return None
        step = self.made[name]
        return step if step.bounds == UNBOUNDED else None

    def _begun(self, operation: Operation) -> Step | None:
        match operation:
            case Product():
                return self._product(operation)
            case Pool():
                return _pool(operation, operation.input)
            case Elementwise(other=str(other), function=Function(name="add")):
                sides = {self.shapes.get(name) for name in (operation.input, other)} - {None}
                if len(sides) > 1 or not self._is_of_all(operation):
                    return None
                shape = next(iter(sides), None) or (1, 1, self.program.size(operation.input))
                return Step(
                    operation=operation,
                    inputs=[operation.input, other],
                    output=operation.output,
                    input_shape=shape,
                    output_shape=shape,
                )
            case _:
                return None

    def _product(self, product: Product) -> Step | None:
        """Return the step of a product, or of its pooling, before which the product is another."""
        top, left, bottom, right = product.windows.padding
        bounds = UNBOUNDED if product.function is None else bounds_of(product.function)
        if (top, left) != (bottom, right) or product.windows.ceil_mode or bounds is None:
            return None
        pooled = product.pooled
        step = Step(
            operation=product,
            inputs=[product.input],
            output=product.output if pooled is None else f"{product.output} before pooling",
            input_shape=(*product.size, product.channels),
            output_shape=(*product.places, len(product.weight)),
            bounds=bounds,
        )
        if pooled is None:
            return step
        rows, columns = (
            tuple((i * stride, i * stride + size) for i in range(count))
            for size, stride, count in zip(pooled.size, pooled.stride, pooled.count, strict=True)
        )
        pool = Pool(
            output=product.output,
            layer=product.layer,
            input=step.output,
            size=step.output_shape,
            rows=rows,
            columns=columns,
        )
        pooling = _pool(pool, step.output)
        if pooling is not None:
            self.items.append(step)
            self.sizes[step.output] = prod(step.output_shape)
        return pooling

    def _is_of_all(self, operation: Elementwise) -> bool:
        """Return whether an operation takes each number of its arrays, in their order."""
        names = (operation.input, operation.output, operation.other)
        places = (operation.places, operation.to_places, operation.other_places)
        return operation.constant is None and all(
            name is None or np.array_equal(given, np.arange(self.program.size(name)))
            for name, given in zip(names, places, strict=True)
            if given is not None
        )


def bounds_of(function: Function) -> Bounds | None:
    """Return the bounds that a function is, None if it is another."""
    match function:
        case Function(name="at_least", constants=(low,)):
            return low, inf
        case Function(name="at_most", constants=(high,)):
            return -inf, high
        case Function(name="clamp", constants=(low, high)):
            return low, high
        case _:
            return None


def windows_of(ranges: Sequence[Range], size: int) -> tuple[int, int] | None:
    """Return the length and stride of windows that begin at 0 and are all that fit into `size`,
    None for others."""
    begin, end = ranges[0]
    length = end - begin
    stride = ranges[1][0] - begin if len(ranges) > 1 else length
    if stride < 1 or not 0 < length <= size or len(ranges) != (size - length) // stride + 1:
        return None
    same = [(stride * i, stride * i + length) for i in range(len(ranges))]
    return (length, stride) if list(ranges) == same else None


def _pool(pool: Pool, name: str) -> Step | None:
    rows, columns = windows_of(pool.rows, pool.size[0]), windows_of(pool.columns, pool.size[1])
    if rows is None or columns is None or pool.dilation != (1, 1):
        return None
    divisors = pool.divisors
    if divisors is not None and (divisors.size != 1 or divisors.item() != rows[0] * columns[0]):
        return None
    return Step(
        operation=pool,
        inputs=[name],
        output=pool.output,
        input_shape=pool.size,
        output_shape=(len(pool.rows), len(pool.columns), pool.size[2]),
    )


def _joined(items: Sequence[Step | Operation], reads: Mapping[str, int]) -> Iterator[Operation]:
    run: list[Step] = []
    for item in items:
        if isinstance(item, Step) and _fits(item, run):
            run.append(item)
            continue
        yield from _cut(run, reads)
        run = []
        if isinstance(item, Step):
            run = [item]
        else:
            yield item
    yield from _cut(run, reads)


def _fits(step: Step, run: Sequence[Step]) -> bool:
    """Return whether a step reads the images of a run as the run has them."""
    known = {one.output: one.output_shape for one in run} | (shapes_read(run) if run else {})
    return all(known.get(name, shape) == shape for name, shape in _reads(step))


def _cut(run: Sequence[Step], reads: Mapping[str, int]) -> Iterator[Joined]:
    """Yield a run in parts of which others read the last output alone."""
    within = Counter(name for step in run for name in step.inputs)
    ends = [n for n, step in enumerate(run) if reads[step.output] > within[step.output]]
    if ends and ends[0] < len(run) - 1:
        yield from _cut(run[: ends[0] + 1], reads)
        yield from _cut(run[ends[0] + 1 :], reads)
    elif run:
        yield Joined(output=run[-1].output, layer=run[-1].operation.layer, steps=tuple(run))
