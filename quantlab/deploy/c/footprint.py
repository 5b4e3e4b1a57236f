"""What the objects of a model take in flash, layer by layer and function by function.

The rows add up to `text` and `data` of `size` (binutils), as a compiler makes the objects.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

from quantlab.deploy.artefact import Files
from quantlab.deploy.c.boards import objects
from quantlab.deploy.c.boards.objects import Section, sections_of
from quantlab.deploy.c.boards.program import command_of
from quantlab.deploy.c.boards.table import PACKAGES, Board
from quantlab.deploy.c.compiler import model_objects, model_sources, runtime_sources
from quantlab.deploy.c.folder import put
from quantlab.deploy.c.text import C_TYPES
from quantlab.errors import UsageError, check_kind

Compiler = Board | Sequence[str]
"""A board, or a command with its settings; a level of optimization takes the place of -O2."""

HOST: Compiler = ("cc",)
REST = "rest of model.c"
_DEFINITION = re.compile(r"^static const (\w+) (\w+)(?:\[| =)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Row:
    """Bytes of one part of a model.

    name: a header of `headers`, for its layer; a file of `runtime`; a function of `model.c`, or
    `REST`. constants: arrays of numbers. structures: of a layer, which have the sizes and the
    places of its arrays. code: instructions, with the constants between them.
    """

    name: str
    constants: int = 0
    structures: int = 0
    code: int = 0

    @property
    def total(self) -> int:
        """All bytes."""
        return self.constants + self.structures + self.code


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """The rows of a model: its layers in their order, its functions, its runtime. total: bytes of
    all objects in flash. zeros: bytes of memory that objects ask for beside, 0 for our models."""

    rows: Sequence[Row]
    total: int
    zeros: int

    def __str__(self) -> str:
        width = max(len(row.name) for row in self.rows)
        lines = [f"{'':{width}}  constants  structures    code   total"]
        total = Row(
            name="all",
            constants=sum(row.constants for row in self.rows),
            structures=sum(row.structures for row in self.rows),
            code=sum(row.code for row in self.rows),
        )
        for row in (*self.rows, total):
            sizes = f"{row.constants:9,}  {row.structures:10,} {row.code:7,} {row.total:7,}"
            lines.append(f"{row.name:{width}}  {sizes}")
        return "\n".join(lines)


def footprint(model: Files | Path, compiler: Compiler = HOST) -> Footprint:
    """Return what a model takes with a compiler.

    model: its files, or the folder where they lie. Raises UsageError for a folder without a model,
    a compiler that is not there, and objects of another kind than ELF; VerificationError if the
    files do not compile.
    """
    with _objects(model, compiler) as (folder, paths):
        found = [sections_of(path) for path in paths]
        names = [path.name for path in runtime_sources(folder)]
        count = len(model_sources(folder))
        own = [section for one in found[:count] for section in one]
        runtime = found[count:]
        rows = _own_rows(own, _definitions(folder))
        rows += [_runtime_row(name, one) for name, one in zip(names, runtime, strict=True)]
    return Footprint(
        rows=rows,
        total=sum(map(_in_flash, [own, *runtime])),
        zeros=sum(map(_zeros, [own, *runtime])),
    )


def flash_bytes(model: Files | Path, compiler: Compiler = HOST) -> int:
    """Return the bytes of a model's objects in flash: `Footprint.total`. Raises as `footprint`."""
    with _objects(model, compiler) as (_, paths):
        return objects.flash_bytes(paths)


@contextmanager
def _objects(model: Files | Path, compiler: Compiler) -> Iterator[tuple[Path, list[Path]]]:
    """Compile a model; give its folder and its objects, those of `model_sources` first."""
    check_kind("model", model, Path | Mapping, "files of a model or their folder")
    with TemporaryDirectory() as name:
        folder = model if isinstance(model, Path) else Path(name) / "model"
        if not isinstance(model, Path):
            put(model, folder)
        if not (folder / "model.c").is_file():
            raise UsageError(f"{folder / 'model.c'}: not there; export the model as C")
        yield folder, model_objects(folder, Path(name), _command(compiler))


def _command(compiler: Compiler) -> Sequence[str]:
    check_kind("compiler", compiler, Board | list | tuple, "a Board or a list of words")
    command = command_of(compiler) if isinstance(compiler, Board) else compiler
    if not command or not all(isinstance(word, str) for word in command):
        raise UsageError(f"compiler: {list(command)} given, a Board or a list of words allowed")
    if which(command[0]) is None:
        packages = PACKAGES.get(command[0], command[0])
        raise UsageError(f"compiler: no program '{command[0]}'; apt-get install {packages}")
    return command


@dataclass(frozen=True, kw_only=True)
class _Definition:
    """Of a constant. header: where it stands. is_array: of numbers, not of structures."""

    header: str
    is_array: bool


def _definitions(folder: Path) -> Mapping[str, _Definition]:
    """Return the constants of a model's headers, by name."""
    return {
        name: _Definition(header=path.stem, is_array=kind in C_TYPES.values())
        for path in sorted((folder / "headers").glob("*.h"))
        for kind, name in _DEFINITION.findall(path.read_text(encoding="utf-8"))
    }


def _own_rows(sections: Sequence[Section], definitions: Mapping[str, _Definition]) -> list[Row]:
    """Return the rows of the generated sources: headers, functions, and what no symbol names."""
    constants: Counter[str] = Counter()
    structures: Counter[str] = Counter()
    code: Counter[str] = Counter()
    for section in sections:
        if section.is_zero:
            continue
        for name, size in _parts(section):
            found = definitions.get(name)
            if found is not None:
                (constants if found.is_array else structures)[found.header] += size
            elif section.is_code:
                code[name] += size
            else:
                constants[REST] += size
    headers = dict.fromkeys(one.header for one in definitions.values())
    names = [*headers, *(name for name in code if name != REST), REST]
    return [
        Row(name=name, constants=constants[name], structures=structures[name], code=code[name])
        for name in names
    ]


def _parts(section: Section) -> Iterator[tuple[str, int]]:
    """Yield the bytes of each symbol, without those that an earlier one has too, and the rest."""
    end = named = 0
    for symbol in section.symbols:
        size = max(symbol.start + symbol.size - max(symbol.start, end), 0)
        end = max(end, symbol.start + symbol.size)
        named += size
        yield symbol.name, size
    yield REST, section.size - named


def _runtime_row(name: str, sections: Sequence[Section]) -> Row:
    code = sum(section.size for section in sections if section.is_code)
    return Row(name=f"runtime/{name}", constants=_in_flash(sections) - code, code=code)


def _in_flash(sections: Sequence[Section]) -> int:
    return sum(section.size for section in sections if not section.is_zero)


def _zeros(sections: Sequence[Section]) -> int:
    return sum(section.size for section in sections if section.is_zero)
