"""`program`: the container of `quantlab.integer.file`, for the interpreter and the fast engine."""

from pathlib import Path

from quantlab.deploy.artefact import Artefact, EngineSource, Files, Options, Parts, only_path, paths
from quantlab.errors import VerificationError
from quantlab.integer.file import from_bytes, tensor_hashes, to_bytes
from quantlab.integer.program import Program
from quantlab.integer.verify import Engine, Interpreter

FILE = "program.qlp"


def files(parts: Parts, options: Options) -> Files:
    return {path: to_bytes(parts[name]) for name, path in paths(parts, FILE).items()}


def check(found: bytes, expected: bytes, source: str) -> None:
    program, wanted = from_bytes(found, source), from_bytes(expected, source)
    given = tensor_hashes(program)
    for name, sha256 in tensor_hashes(wanted).items():
        if given.get(name) != sha256:
            raise VerificationError(
                f"{source}: tensor '{name}' is not that of the run's network: its SHA-256 is "
                f"{given.get(name, 'missing')[:16]}, {sha256[:16]} expected"
            )
    for name, encoding in wanted.encodings.items():
        if not encoding.is_same(program.encodings.get(name)):
            raise VerificationError(
                f"{source}: the encoding of '{name}' is not that of the run's library"
            )
    raise VerificationError(
        f"{source}: its tensors are those of the run's network, but not its operations"
    )


def stored(parts: Parts, folder: Path) -> Program:
    """Return the program of a folder's file."""
    path = folder / only_path(parts, FILE)
    return from_bytes(path.read_bytes(), str(path))


def numpy(parts: Parts, folder: Path) -> Engine:
    return Interpreter(stored(parts, folder))


def fast(parts: Parts, folder: Path) -> Engine:
    from quantlab.integer.fast import FastEngine

    return FastEngine(stored(parts, folder))


PROGRAM = Artefact(
    files=files,
    check=check,
    engines={"numpy": EngineSource(open=numpy), "fast": EngineSource(open=fast)},
)
