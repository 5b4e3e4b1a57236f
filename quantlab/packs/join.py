"""Join neighboring operations of a float program, so that one call of the kernels computes them.

    convolution + residual + bounds              one step
    max or mean of windows                       one step
    sum + bounds                                 one step
    factors and offsets of channels + bounds     one step
    copies to the channels of one array          one step

Steps that follow one another, and of which others read the last one alone, are one operation.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from math import prod

import numpy as np

from quantlab.floats.functions import Function
from quantlab.floats.operations import Elementwise, Operation, Pool, Product
from quantlab.floats.program import FloatProgram
from quantlab.packs.joined import (
    UNBOUNDED,
    Joined,
    Shape,
    Step,
    bounds_of,
    shapes_read,
    windows_of,
)


def join(program: FloatProgram) -> FloatProgram:
    """Return a program of joined operations, and of those that no step is."""
    found = _Found(program)
    for _, parts in groupby(program.operations, lambda operation: operation.output):
        found.take(list(parts))
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
        for name, tensor in self.program.inputs.items():
            if len(tensor.shape) == 3:
                channels, height, width = tensor.shape
                self.shapes[name] = (height, width, channels)

    def take(self, parts: Sequence[Operation]) -> None:
        """Add an operation to a step, or begin one with it, or keep it as it is.

        parts: neighbors that write to one array.
        """
        step = None
        if len(parts) == self._num_writers[parts[0].output]:
            if len(parts) > 1:
                step = self._concatenation(parts)
            else:
                step = self._ended(parts[0]) or self._begun(parts[0])
        if step is None:
            self.items += parts
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
        step = (
            self._with_residual(operation)
            or self._with_bounds(operation)
            or self._with_offsets(operation)
        )
        if step is not None:
            self.items.remove(step)
            step.output = operation.output
        return step

    def _with_bounds(self, operation: Elementwise) -> Step | None:
        bounds = bounds_of(operation.function)
        step = self._open(operation.input)
        if bounds is None or operation.constant is not None or step is None:
            return None
        if isinstance(step.operation, Pool) or step.is_concatenation:
            return None
        step.bounds = bounds
        return step

    def _with_offsets(self, operation: Elementwise) -> Step | None:
        step = self._open(operation.input)
        if operation.function.name != "add" or operation.constant is None or step is None:
            return None
        if step.factors is None or step.offsets is not None:
            return None
        step.offsets = operation.constant
        return step

    def _with_residual(self, operation: Elementwise) -> Step | None:
        names = (operation.other, operation.input)
        if operation.function.name != "add" or operation.other is None or names[0] == names[1]:
            return None
        for name, residual in (names, names[::-1]):
            step = self._open(name)
            if step is not None and isinstance(step.operation, Product) and len(step.inputs) == 1:
                step.inputs.append(str(residual))
                step.shapes.append(step.output_shape)
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
                    shapes=[shape, shape],
                    output_shape=shape,
                )
            case Elementwise(constant=factors, function=Function(name="multiply")):
                image = self.shapes.get(operation.input)
                if image is None or factors is None or not self._is_of_all(operation):
                    return None
                return Step(
                    operation=operation,
                    inputs=[operation.input],
                    output=operation.output,
                    shapes=[image],
                    output_shape=image,
                    factors=factors,
                )
            case _:
                return None

    def _concatenation(self, parts: Sequence[Operation]) -> Step | None:
        """Return a step of copies of whole images to one after the other of an array's channels."""
        copies = [one for one in parts if isinstance(one, Elementwise)]
        shapes = [self.shapes.get(one.input) for one in copies]
        known = [shape for shape in shapes if shape is not None]
        if len(known) < len(parts) or len({shape[:2] for shape in known}) > 1:
            return None
        (height, width, _), channels = known[0], sum(shape[2] for shape in known)
        if height * width * channels != self.program.size(parts[0].output):
            return None
        begin = 0
        for copy, (_, _, count) in zip(copies, known, strict=True):
            pixels = channels * np.arange(height * width)[:, None]
            places = (pixels + begin + np.arange(count)).reshape(-1)
            is_whole = np.array_equal(copy.places, np.arange(self.program.size(copy.input)))
            is_plain = copy.function.name == "copy" and copy.inputs == (copy.input,)
            if not (is_whole and is_plain and np.array_equal(copy.to_places, places)):
                return None
            begin += count
        first = copies[0]
        return Step(
            operation=first,
            inputs=[copy.input for copy in copies],
            output=first.output,
            shapes=known,
            output_shape=(height, width, channels),
            is_concatenation=True,
        )

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
            shapes=[(*product.size, product.channels)],
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
        """Return whether an operation takes each number of its arrays, in their order, and those of
        a constant for the channels of each pixel."""
        numbers = np.arange(self.program.size(operation.output))
        if not np.array_equal(operation.to_places, numbers):
            return False
        if operation.constant is not None:
            shape = self.shapes.get(operation.input)
            if shape is None or shape[2] != operation.constant.size:
                return False
            others = numbers % operation.constant.size
        else:
            others = numbers
        given = operation.other_places
        has_others = given is None or np.array_equal(given, others)
        return has_others and np.array_equal(operation.places, numbers)


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
        shapes=[pool.size],
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
    known = {one.output: one.output_shape for one in run} | shapes_read(run)
    reads = zip(step.inputs, step.shapes, strict=True)
    return all(known.get(name, shape) == shape for name, shape in reads)


def _cut(run: Sequence[Step], reads: Mapping[str, int]) -> Iterator[Joined]:
    """Yield a run in parts of which others read the last output alone."""
    within = Counter(name for step in run for name in step.inputs)
    ends = [n for n, step in enumerate(run) if reads[step.output] > within[step.output]]
    if ends and ends[0] < len(run) - 1:
        yield from _cut(run[: ends[0] + 1], reads)
        yield from _cut(run[ends[0] + 1 :], reads)
    elif run:
        yield Joined(output=run[-1].output, layer=run[-1].operation.layer, steps=tuple(run))
