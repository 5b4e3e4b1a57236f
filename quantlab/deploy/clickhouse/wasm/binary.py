"""Modules of WebAssembly as bytes.

Source: WebAssembly Core Specification 3.0, chapter "Binary Format".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quantlab.deploy.clickhouse.wasm.body import Body
from quantlab.deploy.clickhouse.wasm.expressions import I32
from quantlab.deploy.clickhouse.wasm.leb128 import signed, unsigned
from quantlab.deploy.clickhouse.wasm.opcodes import OPCODES

HEADER = b"\0asm\x01\0\0\0"
PAGE = 65536
TYPE, IMPORT, FUNCTION, MEMORY, GLOBAL, EXPORT, CODE, DATA = 1, 2, 3, 5, 6, 7, 10, 11
_I32 = bytes([I32.value_type])


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function of `num_parameters` addresses or counts, which returns one or nothing."""

    body: Body
    num_parameters: int = 0
    has_result: bool = False

    @property
    def signature(self) -> bytes:
        """The type as it is encoded."""
        results = 1 if self.has_result else 0
        given = unsigned(self.num_parameters) + _I32 * self.num_parameters
        return b"\x60" + given + unsigned(results) + _I32 * results


def encode(
    functions: Sequence[Function],
    exports: Mapping[str, int],
    num_pages: int,
    global_values: Sequence[int],
    data: Mapping[int, bytes],
) -> bytes:
    """Return a module with one memory, exported as `memory`, that cannot grow.

    exports: functions by name. global_values: of variables that the functions share. data: what
    lies in memory, by its address.
    """
    signatures = list(dict.fromkeys(one.signature for one in functions))
    exported = [_name(name) + b"\x00" + unsigned(index) for name, index in exports.items()]
    pages = unsigned(num_pages)
    sections = {
        TYPE: signatures,
        FUNCTION: [unsigned(signatures.index(one.signature)) for one in functions],
        MEMORY: [b"\x01" + pages + pages],
        GLOBAL: [_I32 + b"\x01" + _constant(value) for value in global_values],
        EXPORT: [_name("memory") + b"\x02\x00", *exported],
        CODE: [one.body.encoded() for one in functions],
        DATA: [
            b"\x00" + _constant(address) + unsigned(len(one)) + one for address, one in data.items()
        ],
    }
    return HEADER + b"".join(_section(number, items) for number, items in sections.items())


def _section(number: int, items: Sequence[bytes]) -> bytes:
    content = unsigned(len(items)) + b"".join(items)
    return bytes([number]) + unsigned(len(content)) + content


def _name(name: str) -> bytes:
    encoded = name.encode()
    return unsigned(len(encoded)) + encoded


def _constant(value: int) -> bytes:
    return OPCODES["i32.const"] + signed(value) + OPCODES["end"]
