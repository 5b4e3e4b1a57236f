"""The files that a program is deployed as, and the engines that run what is in them.

A file that is not there is written; one that is there has to be what the program says, or whoever
asks for it gets a VerificationError that names the tensor.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from experiments.runs.files import storage_error, write_atomically
from quantlab.errors import QuantLabError, UsageError, VerificationError, did_you_mean
from quantlab.integer.fast import FastEngine
from quantlab.integer.file import REMEDY, from_bytes, tensor_hashes, to_bytes
from quantlab.integer.program import Program
from quantlab.integer.verify import Engine, Interpreter


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A kind of file. file: its name. encode: gives a program's bytes, always the same ones.

    needs: packages of the extra `extra`.
    """

    file: str
    encode: Callable[[Program], bytes]
    needs: Sequence[str] = ()
    extra: str = ""


def _exact(program: Program) -> bytes:
    from quantlab.deploy.onnx.exact import exact_model

    data: bytes = exact_model(program).SerializeToString(deterministic=True)
    return data


def _qdq(program: Program) -> bytes:
    from quantlab.deploy.onnx.qdq import qdq_model

    data: bytes = qdq_model(program).SerializeToString(deterministic=True)
    return data


ARTEFACTS: Mapping[str, Artefact] = {
    "program": Artefact(file="program.qlp", encode=to_bytes),
    "onnx-exact": Artefact(file="exact.onnx", encode=_exact, needs=("onnx",), extra="onnx"),
    "onnx-qdq": Artefact(file="qdq.onnx", encode=_qdq, needs=("onnx",), extra="onnx"),
}


def write(name: str, program: Program, folder: Path) -> Path:
    """Write an artefact, in place of what is there; return its path."""
    artefact = ARTEFACTS[name]
    path = folder / artefact.file
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(folder, error) from error
    write_atomically(path, artefact.encode(program))
    return path


def _stored(name: str, program: Program, folder: Path) -> tuple[Path, bytes]:
    """Return the path and the bytes of a file, written if it is not there. Raises UsageError."""
    path = folder / ARTEFACTS[name].file
    try:
        # What is there but no file, a folder say, cannot be written either.
        if not path.is_file():
            write(name, program, folder)
        return path, path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


@contextmanager
def _with_remedy() -> Iterator[None]:
    """Let what a file is refused for end with what to do."""
    try:
        yield
    except QuantLabError as error:
        if str(error).endswith(REMEDY):
            raise
        raise type(error)(f"{error}; {REMEDY}") from error


def stored_program(expected: Program, folder: Path) -> Program:
    """Return the program of a folder's file, whose bytes are those of `to_bytes`.

    Raises VerificationError unless it is the expected one, UsageError if the file is of another
    kind, or cannot be read or written.
    """
    path, data = _stored("program", expected, folder)
    with _with_remedy():
        program = from_bytes(data, str(path))
    if data != to_bytes(expected):
        found = tensor_hashes(program)
        for name, sha256 in tensor_hashes(expected).items():
            if found.get(name) != sha256:
                raise VerificationError(
                    f"{path}: tensor '{name}' is not that of the run's network: its SHA-256 is "
                    f"{found.get(name, 'missing')[:16]}, {sha256[:16]} expected; {REMEDY}"
                )
        raise VerificationError(
            f"{path}: its tensors are those of the run's network, but not its operations; {REMEDY}"
        )
    return program


def _numpy(program: Program, folder: Path) -> Engine:
    return Interpreter(program)


def _fast(program: Program, folder: Path) -> Engine:
    return FastEngine(program)


def _onnx(program: Program, folder: Path) -> Engine:
    from quantlab.deploy.onnx.exact import exact_model
    from quantlab.deploy.onnx.graph import read_model
    from quantlab.deploy.onnx.runtime import OnnxEngine

    path, data = _stored("onnx-exact", program, folder)
    expected = exact_model(program)
    with _with_remedy():
        model = read_model(data, expected, str(path))
    return OnnxEngine(model)


ENGINES: Mapping[str, Callable[[Program, Path], Engine]] = {
    "numpy": _numpy,
    "fast": _fast,
    "onnx": _onnx,
}
_ENGINE_NEEDS = {"onnx": ("onnx", "onnxruntime")}


def engines_named(names: str | None) -> list[str]:
    """Return the engines of a list with commas; without one all whose packages are there.

    Raises UsageError for a name that does not exist, or whose packages are missing.
    """
    if names is None:
        return [name for name in ENGINES if not _missing(_ENGINE_NEEDS.get(name, ()))]
    chosen = _chosen("--backends", names, ENGINES)
    for name in chosen:
        _check("--backends", name, _ENGINE_NEEDS.get(name, ()), name)
    return chosen


def engines_of(names: Sequence[str], program: Program, folder: Path) -> dict[str, Engine]:
    """Return engines, by name, of a program as `stored_program` gives it, and of what else there is
    of it in the folder. Raises VerificationError, UsageError as that does."""
    return {name: ENGINES[name](program, folder) for name in names}


def artefacts_named(names: str | None) -> list[str]:
    """Return the artefacts of a list with commas; else as `engines_named`."""
    if names is None:
        return [name for name, artefact in ARTEFACTS.items() if not _missing(artefact.needs)]
    chosen = _chosen("--to", names, ARTEFACTS)
    for name in chosen:
        _check("--to", name, ARTEFACTS[name].needs, ARTEFACTS[name].extra)
    return chosen


def _chosen(option: str, names: str, allowed: Mapping[str, object]) -> list[str]:
    chosen = list(dict.fromkeys(names.split(",")))
    for name in chosen:
        if name not in allowed:
            raise UsageError(
                f"{option}: '{name}' given, {', '.join(allowed)} allowed"
                f"{did_you_mean(name, allowed)}"
            )
    return chosen


def _missing(packages: Sequence[str]) -> list[str]:
    return [package for package in packages if find_spec(package) is None]


def _check(option: str, name: str, packages: Sequence[str], extra: str) -> None:
    missing = _missing(packages)
    if missing:
        raise UsageError(f"{option}: {name} needs {', '.join(missing)}; install quantlab[{extra}]")
