"""The command line of both scripts."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .error import FILE, StorageError
from .hard_folders import read_storages
from .plan import check_name, plan_problem, plan_storage
from .steps import Adoption, Step, apply

OPTIONS = {"storage.sh": "--adopt", "problem.sh": "--relink"}


@contextlib.contextmanager
def lock(checkout: Path) -> Iterator[None]:
    """Let one run at a time work on `checkout`, so that none undoes what another relies on."""
    with contextlib.ExitStack() as stack:
        # Where files cannot be locked (some network file systems) or the file is missing, a run
        # goes on alone: its steps refuse what is there already.
        with contextlib.suppress(OSError):
            fcntl.flock(stack.enter_context((checkout / FILE).open("rb")), fcntl.LOCK_EX)
        yield


def parse_arguments(script: str, arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Return the names given and whether the script's one option is."""
    option = OPTIONS[script]
    for argument in arguments:
        if argument.startswith("-") and argument != option:
            raise StorageError(f"'{argument}': unknown option; allowed are {option} and --help")
    names = [argument for argument in arguments if argument != option]
    expected = 1 if script == "problem.sh" else 0
    if len(names) < expected:
        raise StorageError(f"the problem's name is missing: bash cfg/{script} NAME")
    if len(names) > expected:
        allowed = "one problem at a time" if expected else "no names are taken"
        raise StorageError(f"'{names[expected]}': unexpected; {allowed}")
    return names, option in arguments


def run(checkout: Path, script: str, arguments: Sequence[str]) -> list[str]:
    """Do the script's work; return the lines that say what was done. Raises StorageError."""
    names, is_option = parse_arguments(script, arguments)
    problems = checkout / "problems"
    if names:
        taken = [path.name for path in problems.iterdir() if path.is_dir()]
        check_name(names[0], sorted(taken))
    with lock(checkout):
        storages = read_storages(checkout)
        plan: list[Step] = []
        for storage in storages:
            plan += plan_storage(checkout, storage, adopt=is_option and not names)
        for name in names:
            plan += plan_problem(checkout, storages, name, relink=is_option)
        # Both storages may be one, perhaps under two names; adoptions are hardest to undo: last.
        unique = {(os.path.realpath(step.path.parent), step.path.name): step for step in plan}
        steps = sorted(unique.values(), key=lambda step: isinstance(step, Adoption))
        apply(steps)
    if not names:
        done = [f"{storage.key}: {storage.home / 'problems'}" for storage in storages]
        return [str(step) for step in steps] or [f"nothing to do: {', '.join(done)}"]
    if not steps:
        return [f"nothing to do: problems/{names[0]} is complete"]
    return [str(step) for step in steps] + next_steps(problems / names[0])


def next_steps(package: Path) -> list[str]:
    """Say what is still to be written or installed by hand."""
    missing = [name for name in ("data.py", "meter.py") if not (package / name).is_file()]
    if not any((folder / "network.py").is_file() for folder in package.iterdir()):
        missing.append("<Topology>/ (preprocess.py network.py postprocess.py config.yaml)")
    lines = []
    if missing:
        lines.append(f"next: write in {package}: {', '.join(missing)}; CONTRIBUTING.md shows how")
    if not any((package / "data").iterdir()):
        lines.append(f"next: put the data set into {package / 'data'}")
    return lines


def main(arguments: Sequence[str]) -> int:
    """Run for `storage.sh` or `problem.sh`, the first argument; return the exit code."""
    script = arguments[0]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path need not be text
    try:
        lines = run(Path(__file__).resolve().parents[2], script, arguments[1:])
    except StorageError as error:
        message = str(error)
    except OSError as error:
        message = f"cannot read '{error.filename}': {error.strerror}"
    except KeyboardInterrupt:
        return 130
    else:
        sys.stdout.write("".join(line + "\n" for line in lines))
        return 0
    one_line = message.replace("\n", "\\n").replace("\r", "\\r")
    sys.stderr.write(f"{script}: {one_line}\n")
    return 2
