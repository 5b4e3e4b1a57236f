"""Objects of a compiler as files: their sections, their symbols, and what of them lies in flash.

Source: Tool Interface Standard, Executable and Linking Format, 1.2, figures 1-3, 1-9 and 1-16; for
64 bits System V ABI, chapter 4.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from quantlab.errors import UsageError

_ALLOCATED, _EXECUTABLE = 2, 4  # SHF_ALLOC, SHF_EXECINSTR
_SYMBOLS, _NO_BITS = 2, 8  # SHT_SYMTAB, SHT_NOBITS
_OBJECT, _FUNCTION = 1, 2  # STT_OBJECT, STT_FUNC
_ORDERS = {1: "<", 2: ">"}


@dataclass(frozen=True, kw_only=True)
class Symbol:
    """A variable or function. start: where in its section, in bytes, as `size`."""

    name: str
    start: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Section:
    """A stretch of an object that a program has in memory.

    size: in bytes. is_code: of instructions. is_zero: not in flash, filled with zeros at the start.
    symbols: of what lies in it, by their starts.
    """

    size: int
    is_code: bool
    is_zero: bool
    symbols: Sequence[Symbol]


def flash_bytes(objects: Iterable[Path]) -> int:
    """Return the bytes of code, constants and initial values in ELF objects: `text` and `data` of
    `size`. Raises UsageError for a file of another kind."""
    sections = (section for path in objects for section in sections_of(path))
    return sum(section.size for section in sections if not section.is_zero)


def sections_of(path: Path) -> list[Section]:
    """Return the allocated sections of an ELF object of 32 or 64 bits.

    Raises UsageError for a file of another kind.
    """
    data = path.read_bytes()
    if data[:4] != b"\x7fELF" or data[4] not in _LAYOUTS or data[5] not in _ORDERS:
        raise UsageError(f"{path}: no ELF object; use a compiler that writes ELF")
    layout, order = _LAYOUTS[data[4]], _ORDERS[data[5]]
    headers = _headers(data, layout, order)
    symbols = [
        symbol
        for one in headers
        if one.kind == _SYMBOLS
        for symbol in _symbols(data, one, headers[one.link], layout, order)
    ]
    return [
        Section(
            size=one.size,
            is_code=bool(one.flags & _EXECUTABLE),
            is_zero=one.kind == _NO_BITS,
            symbols=sorted(
                (symbol for section, symbol in symbols if section == number),
                key=lambda symbol: (symbol.start, symbol.name),
            ),
        )
        for number, one in enumerate(headers)
        if one.flags & _ALLOCATED
    ]


@dataclass(frozen=True, kw_only=True)
class _Header:
    """Of a section. link: of a table of symbols, the section of their names. entry: the bytes of an
    entry of a table."""

    kind: int
    flags: int
    offset: int
    size: int
    link: int
    entry: int


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How the structures of an object lie: formats of `struct`, and where those begin that count.

    table: where the header of an object has the place of the sections' headers. counts: the same of
    their bytes and number. section: kind, flags, offset, size, link, entry. symbol: name, info,
    section, start, size, in the order of `fields`.
    """

    table: tuple[str, int]
    counts: int
    section: str
    symbol: str
    fields: Sequence[int]


# The place in the name of a section, its address, its information and its alignment are skipped.
_LAYOUTS = {
    1: _Layout(
        table=("I", 32),
        counts=46,
        section="4xII4xIII4x4xI",
        symbol="IIIBxH",
        fields=(0, 3, 4, 1, 2),
    ),
    2: _Layout(
        table=("Q", 40),
        counts=58,
        section="4xIQ8xQQI4x8xQ",
        symbol="IBxHQQ",
        fields=(0, 1, 2, 3, 4),
    ),
}


def _headers(data: bytes, layout: _Layout, order: str) -> list[_Header]:
    kind, at = layout.table
    (table,) = struct.unpack_from(order + kind, data, at)
    size, count = struct.unpack_from(f"{order}HH", data, layout.counts)
    names = ("kind", "flags", "offset", "size", "link", "entry")
    return [
        _Header(
            **dict(
                zip(
                    names,
                    struct.unpack_from(order + layout.section, data, table + i * size),
                    strict=True,
                )
            )
        )
        for i in range(count)
    ]


def _symbols(
    data: bytes, table: _Header, names: _Header, layout: _Layout, order: str
) -> Iterator[tuple[int, Symbol]]:
    """Yield the variables and functions of a table, each behind the number of its section."""
    for at in range(table.offset, table.offset + table.size, table.entry):
        values = struct.unpack_from(order + layout.symbol, data, at)
        name, info, section, start, size = (values[i] for i in layout.fields)
        kind = info & 15
        if kind not in (_OBJECT, _FUNCTION):
            continue
        begin = names.offset + name
        text = data[begin : data.index(0, begin)].decode()
        # The lowest bit of a function says that it is in Thumb.
        yield section, Symbol(name=text, start=start & ~int(kind == _FUNCTION), size=size)
