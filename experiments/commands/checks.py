"""What is wrong with the options of a command beyond its syntax; found before it is imported."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.command_line import Invocation
from experiments.commands import options
from quantlab.errors import UsageError, did_you_mean

ALL = "all"
_OF_RUNS = (*options.STORED_NETWORK, "tested")
# What each word of `store` reads beside --store and --json: options that it needs, then others.
_OF_RUN = (*options.STORED_NETWORK, *options.LOWERING)
_OF_STORE: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "load": (("model",), _OF_RUN),
    "list": ((), ("model",)),
    "rollback": (("model",), ("version",)),
    "calibrate": (("model",), ()),
    "remove": (("model",), ("version",)),
}


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


def check_store(invocation: Invocation) -> None:
    """Raise UsageError for a word that `store` does not know, and for options or files that would
    change nothing or are missing."""
    allowed = ", ".join(_OF_STORE)
    if not invocation.operands:
        raise UsageError(f"store needs one of {allowed}; see: main.py store --help")
    action, *files = invocation.operands
    if action not in _OF_STORE:
        hint = did_you_mean(action, _OF_STORE)
        raise UsageError(f"store: '{action}' given, {allowed} allowed{hint}")
    if files and (action != "load" or len(files) > 1):
        most = "one file" if action == "load" else "no file"
        raise UsageError(f"store {action}: '{files[-1]}' given, {most} allowed")
    needed, others = _OF_STORE[action]
    for name in needed:
        if not invocation.has(name):
            raise UsageError(f"store {action} needs --{name}=...; see: main.py store --help")
    for name, value in invocation.options.items():
        if name not in (*needed, *others, "store", "json"):
            raise UsageError(f"--{name}={value}: no effect on store {action}")
        if files and name in _OF_RUN:
            raise UsageError(f"--{name}={value}: no effect beside the file '{files[0]}'")
    if action == "load" and not files:
        for name in ("problem", "exp_id"):
            if not invocation.has(name):
                raise UsageError(f"store load needs --{name}=..., or a file that export wrote")
