"""The table of commands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from experiments.command_line import Invocation, Syntax
from experiments.commands import (
    clean,
    data,
    export,
    list_runs,
    predict,
    report,
    resume,
    test,
    train,
    verify,
)


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a command accepts and what it does; `run` returns the exit code."""

    syntax: Syntax
    run: Callable[[Invocation], int]


COMMANDS: Mapping[str, Command] = {
    "train": Command(syntax=train.SYNTAX, run=train.run),
    "resume": Command(syntax=resume.SYNTAX, run=resume.run),
    "test": Command(syntax=test.SYNTAX, run=test.run),
    "predict": Command(syntax=predict.SYNTAX, run=predict.run),
    "report": Command(syntax=report.SYNTAX, run=report.run),
    "verify": Command(syntax=verify.SYNTAX, run=verify.run),
    "export": Command(syntax=export.SYNTAX, run=export.run),
    "data": Command(syntax=data.SYNTAX, run=data.run),
    "list": Command(syntax=list_runs.SYNTAX, run=list_runs.run),
    "clean": Command(syntax=clean.SYNTAX, run=clean.run),
}
