"""Steps of one operation each."""

from quantlab import backend
from quantlab.backend import CodesRule
from quantlab.integer.fast.layout import new, packed
from quantlab.integer.fast.step import Step, Tensors
from quantlab.integer.interpreter import compute
from quantlab.integer.operations import Operation
from quantlab.integer.tensor_type import TensorType


class Requantized(Step):
    """Codes made of a tensor, or of two."""

    def __init__(self, operation: Operation, rule: CodesRule, result: TensorType) -> None:
        self.inputs = operation.inputs
        self._output, self._rule, self._result = operation.output, rule, result

    def run(self, tensors: Tensors, *, keep: bool, num_threads: int | None) -> Tensors:
        sums, *others = (packed(tensors[name]) for name in self.inputs)
        memory, result = new(len(sums), self._result.shape, self._result.kind.dtype)
        codes = (self._rule, others[0] if others else None, memory)
        backend.requantize(
            sums, codes, num_channels=self._rule.num_channels, num_threads=num_threads
        )
        return {self._output: result}


class Interpreted(Step):
    """What moves numbers, or is rare: as the interpreter does it."""

    def __init__(self, operation: Operation, result: TensorType) -> None:
        self.inputs = operation.inputs
        self._operation, self._result = operation, result

    def run(self, tensors: Tensors, *, keep: bool, num_threads: int | None) -> Tensors:
        result = compute(self._operation, [tensors[name] for name in self.inputs])
        return {self._operation.output: result.astype(self._result.kind.dtype, copy=False)}
