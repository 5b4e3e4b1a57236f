"""What a back end says of itself: the files of an artefact, and the engines that run them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quantlab.errors import UsageError, VerificationError
from quantlab.integer.program import Program
from quantlab.integer.verify import Engine

Parts = Mapping[str, Program]
Options = Mapping[str, str]
Files = Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class EngineSource:
    """An engine of `verify`. open: returns what runs the files of these parts in a folder and gives
    every tensor by name. needs: the packages that it imports. programs: those that it calls, each
    with the Debian package that has it. by_default: whether it runs where none is named: what is
    slow does not."""

    open: Callable[[Parts, Path], Engine]
    needs: Sequence[str] = ()
    programs: Mapping[str, str] = field(default_factory=dict)
    by_default: bool = True


def refuse_difference(found: bytes, expected: bytes, source: str) -> None:
    """Raise VerificationError: the bytes of a file are not those expected."""
    raise VerificationError(
        f"{source}: {len(found):,} bytes are not the {len(expected):,} expected"
    )


def no_options(folder: Path) -> Options:
    """Return the options of what lies in a folder: none."""
    return {}


def nothing_stale(files: Files, folder: Path) -> Sequence[Path]:
    """Return the files that are to go from a folder: none."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """Something that programs are deployed as.

    files: returns the bytes of each file by its path within the artefact's folder, always the same
    for the same parts; raises UsageError, with the operation, for a program that it cannot hold.
    check: called with the bytes of a file that differ from those expected, and the file's name:
    raises VerificationError, with the tensor if one differs, unless both mean the same.
    engines: by the names of `--backends`. options: what each option means, by name. stored: returns
    the options that what lies in a folder was written with. stale: returns the files in a folder
    that an earlier artefact left and new ones do not replace, which are to go; raises UsageError
    for one that nothing may be written beside. needs: the packages that `files` imports, which the
    extra `extra` of quantlab installs.
    """

    files: Callable[[Parts, Options], Files]
    check: Callable[[bytes, bytes, str], None] = refuse_difference
    engines: Mapping[str, EngineSource] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    stored: Callable[[Path], Options] = no_options
    stale: Callable[[Files, Path], Sequence[Path]] = nothing_stale
    needs: Sequence[str] = ()
    extra: str = ""


def paths(parts: Parts, file: str) -> dict[str, str]:
    """Return the path of each part's file: the file alone for one part, else in a folder a part.

    Raises UsageError for a part whose name is no plain name of a folder.
    """
    for name in parts:
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise UsageError(f"part '{name}' given, letters, digits, '_', '-' and '.' allowed")
    return {name: file if len(parts) == 1 else f"{name}/{file}" for name in parts}


def check_single(parts: Parts) -> None:
    """Raise UsageError for several parts: engines run one."""
    if len(parts) != 1:
        raise UsageError(f"parts: {', '.join(parts)} given, one allowed")


def only_path(parts: Parts, file: str) -> str:
    """Return the path of the only part's file. Raises UsageError for several."""
    check_single(parts)
    (path,) = paths(parts, file).values()
    return path
