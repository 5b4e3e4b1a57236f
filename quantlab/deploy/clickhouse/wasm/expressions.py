"""Expressions of WebAssembly: the bytes that leave one value on the stack, with its type."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, TypeVar

from quantlab.deploy.clickhouse.wasm.leb128 import signed, unsigned
from quantlab.deploy.clickhouse.wasm.opcodes import OPCODES


@dataclass(frozen=True)
class Expression:
    """See the module. value_type: the byte of the type in a module."""

    code: bytes

    value_type: ClassVar[int]


E = TypeVar("E", bound=Expression)


@dataclass(frozen=True)
class _Scalar(Expression):
    """An integer, with the operators of Python; integers beside it are constants of its type."""

    prefix: ClassVar[str]

    @classmethod
    def of(cls, value: Self | int) -> Self:
        """Return a constant, wrapped to the type, or the expression given."""
        if isinstance(value, int):
            return cls(OPCODES[f"{cls.prefix}.const"] + signed(value))
        return value

    def _with(self, name: str, other: Self | int) -> Self:
        return type(self)(self.code + self.of(other).code + OPCODES[f"{self.prefix}.{name}"])

    def _against(self, name: str, other: Self | int) -> "I32":
        return I32(self.code + self.of(other).code + OPCODES[f"{self.prefix}.{name}"])

    def __add__(self, other: Self | int) -> Self:
        return self if other == 0 else self._with("add", other)

    def __sub__(self, other: Self | int) -> Self:
        return self if other == 0 else self._with("sub", other)

    def __mul__(self, other: Self | int) -> Self:
        return self if other == 1 else self._with("mul", other)

    def __and__(self, other: Self | int) -> Self:
        return self._with("and", other)

    def __or__(self, other: Self | int) -> Self:
        return self._with("or", other)

    def __lshift__(self, other: Self | int) -> Self:
        return self._with("shl", other)

    def __rshift__(self, other: Self | int) -> Self:
        """The arithmetic shift, which keeps the sign."""
        return self._with("shr_s", other)

    def __lt__(self, other: Self | int) -> "I32":
        return self._against("lt_s", other)

    def __gt__(self, other: Self | int) -> "I32":
        return self._against("gt_s", other)

    def __ge__(self, other: Self | int) -> "I32":
        return self._against("ge_s", other)

    def at_least(self, low: int) -> Self:
        """Return the larger of the integer and a constant. The expression is computed twice."""
        return self.where(self > low, low)

    def at_most(self, high: int) -> Self:
        """Return the smaller of the integer and a constant. The expression is computed twice."""
        return self.where(self < high, high)

    def where(self, condition: "I32", other: Self | int) -> Self:
        """Return the integer where the condition is not 0, else another one."""
        both = self.code + self.of(other).code
        return type(self)(both + condition.code + OPCODES["select"])


@dataclass(frozen=True)
class I32(_Scalar):
    """32 bits: also an address, and what a comparison gives."""

    value_type: ClassVar[int] = 0x7F
    prefix: ClassVar[str] = "i32"

    def unsigned_above(self, other: Self | int) -> "I32":
        return self._against("gt_u", other)

    def equals(self, other: Self | int) -> "I32":
        return self._against("eq", other)

    def differs_from(self, other: Self | int) -> "I32":
        return self._against("ne", other)

    def shifted_right(self, count: int) -> Self:
        """Return the logical shift, which fills with zeros."""
        return self._with("shr_u", count)

    def widened(self) -> "I64":
        """Return it as signed 64 bits."""
        return I64(self.code + OPCODES["i64.extend_i32_s"])


@dataclass(frozen=True)
class I64(_Scalar):
    """64 bits."""

    value_type: ClassVar[int] = 0x7E
    prefix: ClassVar[str] = "i64"

    def count_ones(self) -> Self:
        """Return how many of its bits are 1."""
        return type(self)(self.code + OPCODES["i64.popcnt"])

    def narrowed(self) -> I32:
        """Return its lower 32 bits."""
        return I32(self.code + OPCODES["i32.wrap_i64"])


@dataclass(frozen=True)
class V128(Expression):
    """128 bits in lanes."""

    value_type: ClassVar[int] = 0x7B

    @classmethod
    def constant(cls, value: bytes) -> "V128":
        assert len(value) == 16
        return cls(OPCODES["v128.const"] + value)


def vector(name: str, *operands: Expression) -> V128:
    """Return what a vector instruction makes of its operands."""
    return V128(b"".join(one.code for one in operands) + OPCODES[name])


def lanes(name: str, operand: V128) -> I32:
    """Return the integer that a vector instruction makes of a vector, `i8x16.bitmask` say."""
    return I32(operand.code + OPCODES[name])


def lane(operand: V128, index: int) -> I32:
    """Return one of four lanes."""
    return I32(operand.code + OPCODES["i32x4.extract_lane"] + bytes([index]))


def shuffled(one: V128, other: V128, places: Sequence[int]) -> V128:
    """Return 16 bytes of two vectors; place 16 is the first of the second one."""
    assert len(places) == 16
    return V128(one.code + other.code + OPCODES["i8x16.shuffle"] + bytes(places))


def load(cls: type[E], name: str, address: I32, offset: int = 0) -> E:
    """Return what lies at an address + offset, read by a load of any alignment."""
    return cls(address.code + OPCODES[name] + b"\x00" + unsigned(offset))
