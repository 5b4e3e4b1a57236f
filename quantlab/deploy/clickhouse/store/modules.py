"""What is derived from a program: its module, and the functions that run it by a model's name."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from quantlab.deploy.clickhouse.wasm import Tensor, WasmModule, check_module, module_of
from quantlab.errors import VerificationError
from quantlab.integer.program import Program

_KINDS = {"|u1": "UInt8", "|i1": "Int8", "<i2": "Int16", "<i4": "Int32"}


@dataclass(frozen=True, kw_only=True)
class Interface:
    """How a module is called: `WasmModule` without its code. sha256: of the code."""

    sha256: str
    function: str
    row_bytes: int
    buffer_bytes: int
    tensors: Mapping[str, Tensor]
    outputs: Sequence[Tensor]

    @property
    def module(self) -> str:
        """The name of the module in the database."""
        return f"quantlab_{self.sha256[:32]}"

    @property
    def rows_per_call(self) -> int:
        """How many images fit into a module's memory beside the largest result of each."""
        sizes = [tensor.num_bytes for tensor in self.tensors.values()]
        largest = max([*sizes, sum(tensor.num_bytes for tensor in self.outputs)])
        return max(1, self.buffer_bytes // (2 * (self.row_bytes + largest + 16)))


def compiled(program: Program) -> tuple[Interface, bytes]:
    """Return a program's interface and the code of its module, checked. Raises UsageError for a
    program that no module can hold."""
    module = module_of(program)
    check_module(module.code, module.function)
    return interface_of(module), module.code


def interface_of(module: WasmModule) -> Interface:
    """Return the interface of a module."""
    return Interface(
        sha256=hashlib.sha256(module.code).hexdigest(),
        function=module.function,
        row_bytes=module.row_bytes,
        buffer_bytes=module.buffer_bytes,
        tensors=module.tensors,
        outputs=module.outputs,
    )


def to_text(interface: Interface) -> str:
    """Return an interface as JSON."""
    return json.dumps(asdict(interface), separators=(",", ":"))


def from_text(text: str, code: bytes, source: str) -> Interface:
    """Return the interface of JSON. Raises VerificationError, with the source, unless it is that
    of the code, and UsageError for code that is no module."""
    try:
        plain = json.loads(text)
        plain["outputs"] = [_tensor(one) for one in plain["outputs"]]
        plain["tensors"] = {name: _tensor(one) for name, one in plain["tensors"].items()}
        interface = Interface(**plain)
    except (ValueError, KeyError, TypeError) as error:
        raise VerificationError(f"{source}: the interface of its module is damaged") from error
    if hashlib.sha256(code).hexdigest() != interface.sha256:
        raise VerificationError(f"{source}: its module has not the hash that it was stored with")
    check_module(code, interface.function, name=source)
    return interface


def _tensor(plain: Mapping[str, Any]) -> Tensor:
    return Tensor(number=plain["number"], dtype=plain["dtype"], shape=tuple(plain["shape"]))


def functions_of(name: str, interface: Interface) -> Mapping[str, str]:
    """Return the statement that makes each function of a model, by the function's name.

        NAME_tensor(image, number)  the bytes of a tensor, 0: of the outputs one behind the other
        NAME_scores(image)          the integers of the output; NAME_scores_1, ... of several
        NAME_class(image)           the place of the largest, where there is one output of a vector

    An image is its integers in C order. One that is NULL or of another length is an error.
    name: a word, see `check_name`.
    """
    size = interface.row_bytes
    allowed = f"{name}: images of {size} bytes allowed, not NULL"
    image = f"toFixedString(assumeNotNull(image), {size})"
    wrong = f"throwIf(isNull(image) OR length(image) != {size}, '{allowed}')"
    made = {
        f"{name}_tensor": (
            f"CREATE OR REPLACE FUNCTION {name}_tensor LANGUAGE WASM "
            f"ARGUMENTS (image FixedString({size}), tensor UInt16) RETURNS String "
            f"FROM '{interface.module}' :: '{interface.function}' ABI BUFFERED_V1 "
            f"SHA256_HASH '{interface.sha256}' SETTINGS serialization_format = 'RowBinary', "
            "webassembly_udf_enable_fuel = 0"  # a limit of each call; queries end by their time
        )
    }
    several = len(interface.outputs) > 1
    for number, output in enumerate(interface.outputs, 1):
        function = f"{name}_scores_{number}" if several else f"{name}_scores"
        tensor = f"{output.number} + {wrong}" if several else wrong
        made[function] = (
            f"CREATE OR REPLACE FUNCTION {function} AS (image) -> reinterpret({name}_tensor("
            f"{image}, toUInt16({tensor})), 'Array({_KINDS[output.dtype]})')"
        )
    if not several and len(output.shape) == 1 and prod(output.shape) > 1:
        made[f"{name}_class"] = (
            f"CREATE OR REPLACE FUNCTION {name}_class AS (image) -> arrayMap(scores -> "
            f"toUInt16(indexOf(scores, arrayMax(scores)) - 1), [{name}_scores(image)])[1]"
        )
    return made
