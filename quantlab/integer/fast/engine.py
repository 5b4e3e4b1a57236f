"""Programs on compiled kernels, with the interpreter's integers, for whole test sets."""

from collections.abc import Iterator, Mapping
from threading import Lock

from quantlab.integer.fast.layout import Integers
from quantlab.integer.fast.plan import plan
from quantlab.integer.fast.step import Tensors
from quantlab.integer.interpreter import check_inputs, execute
from quantlab.integer.program import Program


class FastEngine:
    """A program, planned once. Threads are those of `quantlab.backend`.

    It may be called from several threads, which then take turns; an engine each is faster.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._lock = Lock()  # steps have memory of their own
        self._steps = plan(program)
        last_uses = {name: i for i, step in enumerate(self._steps) for name in step.inputs}
        self._read_later = set(last_uses)
        self._dying: list[list[str]] = [[] for _ in self._steps]
        for name, number in last_uses.items():
            self._dying[number].append(name)

    def run(self, inputs: Mapping[str, Integers]) -> Tensors:
        """Return the outputs for a batch of each input, `[N, ...]`.

        Raises UsageError for inputs of another type or shape.
        """
        outputs = self._program.outputs
        found = {name: inputs[name] for name in outputs if name in inputs}
        made = dict(self._results(inputs, keep=False))
        return found | {name: made[name] for name in outputs if name in made}

    def execute(self, inputs: Mapping[str, Integers]) -> Iterator[tuple[str, Integers]]:
        """Yield the name and value of every tensor that an operation makes.

        The kernels are those of `run`; they also store what they otherwise only pass on.
        """
        return self._results(inputs, keep=True)

    def _results(
        self, inputs: Mapping[str, Integers], *, keep: bool
    ) -> Iterator[tuple[str, Integers]]:
        check_inputs(self._program, inputs)
        if any(len(value) == 0 for value in inputs.values()):
            yield from execute(self._program, inputs)
            return
        tensors: Tensors = dict(inputs)
        for step, dying in zip(self._steps, self._dying, strict=True):
            with self._lock:
                made = step.run(tensors, keep=keep)
            for name, value in made.items():
                if keep or name in self._program.outputs:
                    yield name, value
                if name in self._read_later:
                    tensors[name] = value
            for name in dying:
                del tensors[name]
