"""C compiled: the files of a model, with the machine's own compiler or one for another machine."""

import atexit
import hashlib
import re
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import get_ident

from quantlab.errors import VerificationError

STANDARD = ("-std=c99", "-O2")
WARNINGS = ("-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Wshadow", "-Werror")


def compile_model(
    folder: Path,
    result: Path,
    command: Sequence[str],
    sources: Sequence[Path] = (),
    *,
    support: Sequence[Path] = (),
    linking: Sequence[str] = (),
    has_linker: bool = False,
) -> None:
    """Compile the model in a folder, and `sources` beside it, into `result`.

    command: the compiler and its settings; a level of optimization takes the place of -O2. support:
    sources that are the same for all models. linking: settings for the last step; with `has_linker`
    the command of that step. Objects of the runtime and of `support` are kept while this process
    lives: most models share them. Raises VerificationError if anything does not compile.
    """
    objects = [*_runtime_objects(folder, command), *_kept_objects(support, command)]
    own = [*model_sources(folder), *sources]
    flags = (*_flags(command), f"-I{folder}")
    if not has_linker:
        _call([*flags, *linking, "-o", str(result), *map(str, [*own, *objects])])
        return
    for path in own:
        objects.append(result.with_name(f"{path.stem}.o"))
        _call([*flags, "-c", "-o", str(objects[-1]), str(path)])
    _call([*linking, "-o", str(result), *map(str, objects)])


def model_objects(folder: Path, directory: Path, command: Sequence[str]) -> list[Path]:
    """Compile the model in a folder; return its objects: those of `model_sources` in a directory,
    then those of `runtime_sources`.

    Raises VerificationError if anything does not compile.
    """
    flags = [*_flags(command), f"-I{folder}"]
    own = []
    for path in model_sources(folder):
        own.append(directory / f"{path.stem}.o")
        _call([*flags, "-c", "-o", str(own[-1]), str(path)])
    return [*own, *_runtime_objects(folder, command)]


def model_sources(folder: Path) -> list[Path]:
    """Return the generated sources in the folder of a model: `model.c`, and `model_ee.c` where it
    has early exits."""
    return [folder / "model.c", *folder.glob("model_ee.c")]


def runtime_sources(folder: Path) -> list[Path]:
    """Return the sources of the runtime in the folder of a model."""
    return sorted((folder / "runtime").glob("*.c"))


def _runtime_objects(folder: Path, command: Sequence[str]) -> list[Path]:
    return _kept_objects(runtime_sources(folder), command)


def _kept_objects(sources: Sequence[Path], command: Sequence[str]) -> list[Path]:
    flags = _flags(command)
    return [_object(_with_includes(path), path, flags) for path in sources]


def _flags(command: Sequence[str]) -> tuple[str, ...]:
    """Return a compiler with its settings, which come last: of two levels the last one counts."""
    compiler, *settings = command
    return (compiler, *STANDARD, *WARNINGS, *settings)


def _call(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise VerificationError(f"C does not compile: {done.stderr.strip()}")


@cache
def _object(text: str, path: Path, flags: tuple[str, ...]) -> Path:
    """Return the object of a source that, with what it includes, has this text."""
    key = hashlib.sha256("\0".join([text, *flags]).encode()).hexdigest()
    result = _directory() / f"{key}.o"
    if not result.exists():
        part = result.with_name(f"{key}-{get_ident()}.o")  # of this thread: others find it whole
        _call([*flags, "-c", "-o", str(part), str(path)])
        part.replace(result)
    return result


@cache
def _directory() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="quantlab-c-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _with_includes(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    included = re.findall(r'^#include "(.*)"', text, re.MULTILINE)
    return "".join([text, *(_with_includes(path.parent / name) for name in included)])
