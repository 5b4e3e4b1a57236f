"""Programs on compiled kernels, with the interpreter's integers, for whole test sets."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from quantlab import backend
from quantlab.integer.fast.layout import Integers
from quantlab.integer.fast.plan import plan
from quantlab.integer.fast.shares import num_bytes, shares_of
from quantlab.integer.fast.step import Tensors
from quantlab.integer.interpreter import check_inputs, execute
from quantlab.integer.program import Program


class FastEngine:
    """A program, planned once; it may be called from several threads at once.

    Threads are those of `quantlab.backend`. They share out a large batch, and the work of each
    kernel in a small one.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._steps = plan(program)
        self._largest = num_bytes(program.types.values())
        last_uses = {name: i for i, step in enumerate(self._steps) for name in step.inputs}
        self._read_later = set(last_uses)
        self._dying: list[list[str]] = [[] for _ in self._steps]
        for name, number in last_uses.items():
            self._dying[number].append(name)
        self._workers: dict[int, ThreadPoolExecutor] = {}

    def run(self, inputs: Mapping[str, Integers]) -> Tensors:
        """Return the outputs for a batch of each input, `[N, ...]`.

        Raises UsageError for inputs of another type or shape.
        """
        check_inputs(self._program, inputs)
        num_threads = backend.max_threads()
        shares = shares_of(self._largest, [len(value) for value in inputs.values()], num_threads)
        if len(shares) < 2:
            return self._outputs(inputs, None)

        def outputs_of(share: slice) -> Tensors:
            return self._outputs({name: value[share] for name, value in inputs.items()}, 1)

        if num_threads == 1:
            made = [outputs_of(share) for share in shares]
        else:
            made = list(self._threads(num_threads).map(outputs_of, shares))
        return {name: np.concatenate([one[name] for one in made]) for name in made[0]}

    def execute(self, inputs: Mapping[str, Integers]) -> Iterator[tuple[str, Integers]]:
        """Yield the name and value of every tensor that an operation makes.

        The kernels are those of `run`; they also store what they otherwise only pass on.
        """
        check_inputs(self._program, inputs)
        return self._results(inputs, keep=True, num_threads=None)

    def _outputs(self, inputs: Mapping[str, Integers], num_threads: int | None) -> Tensors:
        outputs = self._program.outputs
        found = {name: inputs[name] for name in outputs if name in inputs}
        made = dict(self._results(inputs, keep=False, num_threads=num_threads))
        return found | {name: made[name] for name in outputs if name in made}

    def _results(
        self, inputs: Mapping[str, Integers], *, keep: bool, num_threads: int | None
    ) -> Iterator[tuple[str, Integers]]:
        if any(len(value) == 0 for value in inputs.values()):
            yield from execute(self._program, inputs)
            return
        tensors: Tensors = dict(inputs)
        for step, dying in zip(self._steps, self._dying, strict=True):
            made = step.run(tensors, keep=keep, num_threads=num_threads)
            for name, value in made.items():
                if keep or name in self._program.outputs:
                    yield name, value
                if name in self._read_later:
                    tensors[name] = value
            for name in dying:
                del tensors[name]

    def _threads(self, count: int) -> ThreadPoolExecutor:
        """Return threads that stay: what steps lay out in memory is kept for each."""
        if count not in self._workers:
            self._workers.setdefault(count, ThreadPoolExecutor(count))
        return self._workers[count]
