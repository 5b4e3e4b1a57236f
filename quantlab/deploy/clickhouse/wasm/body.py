"""Bodies of functions: statements, local variables and structured control."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from quantlab.deploy.clickhouse.wasm.expressions import I32, E, Expression
from quantlab.deploy.clickhouse.wasm.leb128 import unsigned
from quantlab.deploy.clickhouse.wasm.opcodes import OPCODES

_GET, _SET = OPCODES["local.get"], OPCODES["local.set"]
_NO_VALUE = b"\x40"  # the type of a block that leaves nothing on the stack


class Body:
    """The body of a function, as it is written. parameters: the types of its arguments."""

    def __init__(self, parameters: Sequence[type[Expression]] = ()) -> None:
        self._num_parameters = len(parameters)
        self._locals: list[int] = [cls.value_type for cls in parameters]
        self._code = bytearray()

    def parameter(self, cls: type[E], index: int) -> E:
        """Return an argument, which can be set as a local variable is."""
        assert self._locals[index] == cls.value_type
        return cls(_GET + unsigned(index))

    def new(self, value: E) -> E:
        """Return a new local variable with this value."""
        variable = type(value)(_GET + unsigned(len(self._locals)))
        self._locals.append(value.value_type)
        self.set(variable, value)
        return variable

    def set(self, variable: E, value: E) -> None:
        """Set a local variable."""
        assert variable.code.startswith(_GET)
        self._code += value.code + _SET + variable.code[len(_GET) :]

    def get_global(self, index: int) -> I32:
        return I32(OPCODES["global.get"] + unsigned(index))

    def set_global(self, index: int, value: I32) -> None:
        self._code += value.code + OPCODES["global.set"] + unsigned(index)

    def store(self, name: str, address: I32, value: Expression, offset: int = 0) -> None:
        """Store a value at an address + offset, of any alignment."""
        self._code += address.code + value.code + OPCODES[name] + b"\x00" + unsigned(offset)

    def store_lane(
        self, name: str, address: I32, value: Expression, lane: int, offset: int = 0
    ) -> None:
        """Store one lane of a vector."""
        self.store(name, address, value, offset)
        self._code.append(lane)

    def copy(self, to: I32, source: I32, count: I32 | int) -> None:
        """Copy bytes, between places that may overlap."""
        self._code += to.code + source.code + I32.of(count).code
        self._code += OPCODES["memory.copy"] + b"\x00\x00"

    def fill(self, to: I32, byte: int, count: I32 | int) -> None:
        """Set bytes."""
        self._code += to.code + I32.of(byte).code + I32.of(count).code
        self._code += OPCODES["memory.fill"] + b"\x00"

    def call(self, function: int, *arguments: Expression) -> None:
        """Call a function that returns nothing."""
        self._code += b"".join(one.code for one in arguments)
        self._code += OPCODES["call"] + unsigned(function)

    def result_of(self, function: int, *arguments: Expression) -> I32:
        """Return a call as an expression."""
        code = b"".join(one.code for one in arguments)
        return I32(code + OPCODES["call"] + unsigned(function))

    def give(self, value: Expression) -> None:
        """Leave the value of the function, at its end."""
        self._code += value.code

    def leave(self) -> None:
        """Return from a function that returns nothing."""
        self._code += OPCODES["return"]

    def trap(self) -> None:
        """End the call with an error."""
        self._code += OPCODES["unreachable"]

    @contextmanager
    def when(self, condition: I32) -> Iterator[None]:
        """Write what is done where the condition is not 0."""
        self._code += condition.code + OPCODES["if"] + _NO_VALUE
        yield
        self._code += OPCODES["end"]

    @contextmanager
    def repeated(self, count: int, step: int = 1) -> Iterator[I32]:
        """Write a loop over 0, step, ... below `count`, at least one of them."""
        if count <= step:
            yield I32.of(0)
            return
        with self._loop(I32.of(count), step) as index:
            yield index

    @contextmanager
    def repeated_to(self, count: I32) -> Iterator[I32]:
        """Write a loop over 0, 1, ... below a count that may be 0. count: computed each time."""
        with self.when(count), self._loop(count, 1) as index:
            yield index

    @contextmanager
    def _loop(self, count: I32, step: int) -> Iterator[I32]:
        index = self.new(I32.of(0))
        self._code += OPCODES["loop"] + _NO_VALUE
        yield index
        self.set(index, index + step)
        again = I32(index.code + count.code + OPCODES["i32.lt_u"])
        self._code += again.code + OPCODES["br_if"] + b"\x00" + OPCODES["end"]

    def encoded(self) -> bytes:
        """Return the function as the code section has it: local variables, code, end."""
        variables = self._locals[self._num_parameters :]
        runs: list[tuple[int, int]] = []
        for kind in variables:
            if runs and runs[-1][1] == kind:
                runs[-1] = (runs[-1][0] + 1, kind)
            else:
                runs.append((1, kind))
        declared = b"".join(unsigned(count) + bytes([kind]) for count, kind in runs)
        function = unsigned(len(runs)) + declared + bytes(self._code) + OPCODES["end"]
        return unsigned(len(function)) + function
