"""What is wrong with the options of a command beyond its syntax; found before it is imported."""

from pathlib import Path

from experiments.command_line import Invocation
from experiments.commands import options
from quantlab.errors import UsageError, did_you_mean

ALL = "all"
_OF_RUNS = (*options.STORED_NETWORK, "tested")


def check_report(invocation: Invocation) -> None:
    """Raise UsageError if the page would go where no file can be."""
    if not invocation.has("html"):
        return
    path = Path(invocation.options["html"])
    if not path.name or path.is_dir() or not path.parent.is_dir():
        raise UsageError(
            f"--html={invocation.options['html']}: a file in a folder that exists allowed"
        )


def check_verify(invocation: Invocation) -> None:
    """Raise UsageError for an option that would change nothing, one that is missing, and a number
    of samples that is none."""
    is_run = not invocation.has("torchvision")
    for name in ("images",) if is_run else _OF_RUNS:
        if invocation.has(name):
            other = "without" if is_run else "with"
            raise UsageError(
                f"--{name}={invocation.options[name]}: not allowed {other} --torchvision"
            )
    for name in ("problem", "exp_id") if is_run else ("images",):
        if not invocation.has(name):
            raise UsageError(f"verify needs --{name}=...; see: main.py verify --help")
    tested = invocation.options.get("tested", ALL)
    if tested != ALL and not tested.isdecimal():
        hint = did_you_mean(tested, [ALL])
        raise UsageError(f"--tested={tested}: a whole number from 1, or {ALL}, allowed{hint}")
    if tested != ALL and int(tested) < 1:
        raise UsageError(f"--tested={tested}: at least 1, or {ALL}, allowed")
