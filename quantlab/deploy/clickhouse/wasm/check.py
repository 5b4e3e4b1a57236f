"""The check of a module before it is stored or loaded."""

from collections.abc import Iterator, Mapping

from quantlab.deploy.clickhouse.wasm.binary import CODE, EXPORT, FUNCTION, HEADER, IMPORT, TYPE
from quantlab.deploy.clickhouse.wasm.buffers import ALLOCATE, DESTROY
from quantlab.deploy.clickhouse.wasm.leb128 import read_unsigned
from quantlab.errors import UsageError, check_kind, did_you_mean

MOST_BYTES = 256 << 20
_CUSTOM, _MOST_SECTIONS = 0, 13
_KINDS = ("function", "table", "memory", "global", "tag")
_I32 = 0x7F


def check_module(
    code: bytes, function: str, *, name: str = "module", most_bytes: int = MOST_BYTES
) -> None:
    """Raise UsageError, in one line, unless ClickHouse can run a function of this module.

    It is a module of WebAssembly of at most `most_bytes`, imports nothing, and exports its memory,
    the functions that make and destroy buffers, and `function`, all of the right types. ClickHouse
    itself notices a missing memory only in the first call. name: of the module, in messages.
    """
    check_kind(name, code, bytes, "bytes")
    if len(code) > most_bytes:
        raise UsageError(f"{name}: {len(code):,} bytes given, at most {most_bytes:,} allowed")
    if not code.startswith(HEADER):
        raise UsageError(f"{name}: no module of WebAssembly 1")
    try:
        sections = dict(_sections(code))
        num_imports = read_unsigned(sections.get(IMPORT, b"\0"), 0)[0]
        exports = _exports(sections.get(EXPORT, b"\0"))
        types = _types(sections.get(TYPE, b"\0"), sections.get(FUNCTION, b"\0"))
        num_bodies = read_unsigned(sections.get(CODE, b"\0"), 0)[0]
    except (IndexError, UnicodeDecodeError) as error:
        raise UsageError(f"{name}: a damaged module of WebAssembly") from error
    if num_bodies != len(types):
        raise UsageError(f"{name}: {num_bodies} bodies of {len(types)} functions, a damaged module")
    if num_imports:
        raise UsageError(f"{name}: imports {num_imports} names, none allowed")
    wanted = {
        "memory": None,
        ALLOCATE: ((_I32,), (_I32,)),
        DESTROY: ((_I32,), ()),
        function: ((_I32, _I32), (_I32,)),
    }
    for export, signature in wanted.items():
        kind = "memory" if signature is None else "function"
        if exports.get(export, ("", 0))[0] != kind:
            hint = did_you_mean(export, exports) if export == function else ""
            raise UsageError(f"{name}: exports no {kind} '{export}'{hint}")
        index = exports[export][1]
        if signature is not None and (index >= len(types) or types[index] != signature):
            raise UsageError(f"{name}: the function '{export}' has other arguments or results")


def _sections(code: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the sections by their numbers. Raises IndexError for a module that is cut."""
    place = len(HEADER)
    while place < len(code):
        number = code[place]
        size, start = read_unsigned(code, place + 1)
        place = start + size
        if place > len(code) or number > _MOST_SECTIONS:
            raise IndexError(number)
        if number != _CUSTOM:
            yield number, code[start:place]


def _exports(section: bytes) -> Mapping[str, tuple[str, int]]:
    """Return the kind and index of each export."""
    count, place = read_unsigned(section, 0)
    found = {}
    for _ in range(count):
        length, start = read_unsigned(section, place)
        place = start + length
        kind = _KINDS[section[place]]
        index, end = read_unsigned(section, place + 1)
        found[section[start:place].decode()] = kind, index
        place = end
    return found


Signature = tuple[tuple[int, ...], tuple[int, ...]]


def _types(types: bytes, functions: bytes) -> list[Signature]:
    """Return the parameters and results of each function."""
    count, place = read_unsigned(types, 0)
    signatures: list[Signature] = []
    for _ in range(count):
        if types[place] != 0x60:
            raise IndexError(place)
        given, place = _values(types, place + 1)
        results, place = _values(types, place)
        signatures.append((given, results))
    count, place = read_unsigned(functions, 0)
    found = []
    for _ in range(count):
        index, place = read_unsigned(functions, place)
        found.append(signatures[index])
    return found


def _values(section: bytes, place: int) -> tuple[tuple[int, ...], int]:
    count, start = read_unsigned(section, place)
    end = start + count
    if end > len(section):
        raise IndexError(end)
    return tuple(section[start:end]), end
