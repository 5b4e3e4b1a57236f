"""What two generations of ClickHouse write differently.

The modern dialect has parameters, `{name:Type}`, which the engine binds. The legacy one, of servers
of 2018, has none: `%(name)s` stands for a value that clickhouse-driver escapes. It counts bits by
arithmetic, since `bitCount` came later, and each value is cast, since a number alone has the
smallest type that holds it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from quantlab.deploy.clickhouse.sql.functions import call
from quantlab.deploy.clickhouse.sql.nodes import Call, Expression, Literal


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """See the module.

    parameter: the text of a parameter, by its name and type. functions: what calls become that an
    engine lacks, by their names. has_steps: whether a query may list its steps, `WITH name AS
    (...)`; elsewhere each stands where it is read.
    """

    name: str
    parameter: Callable[[str, str], str]
    functions: Mapping[str, Callable[[Call], Expression]]
    has_steps: bool


def _bound(name: str, kind: str) -> str:
    return f"{{{name}:{kind}}}"


def _substituted(name: str, kind: str) -> str:
    return f"CAST(%({name})s AS {kind})"


def _count_bits(given: Call) -> Expression:
    """Return how many bits of 64 are set: of each two bits, then of four, of eight, of all."""
    (bits,) = given.arguments
    masks = (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F)
    for shift, mask in zip((1, 2, 4), masks, strict=True):
        upper = call("bitShiftRight", bits, shift)
        bits = call("bitAnd", bits, Literal(mask)) + call("bitAnd", upper, Literal(mask))
    return call("bitShiftRight", bits * 0x0101010101010101, 56)


MODERN = Dialect(name="modern", parameter=_bound, functions={}, has_steps=True)
LEGACY = Dialect(
    name="legacy", parameter=_substituted, functions={"bitCount": _count_bits}, has_steps=False
)
