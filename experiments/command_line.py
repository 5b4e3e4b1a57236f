"""The command line: `main.py [command] --problem=P --topology=T [--config=NAME] [--a.b=c ...]`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import wrap

from experiments.configuration.overrides import Override, parse_override
from quantlab.errors import UsageError, did_you_mean

_WIDTH = 100


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option that is not part of the configuration. A flag takes no value.

    at_least: what a whole number must be; None if the value is not one. allowed: the only values;
    none if there are others.
    """

    help: str | Callable[[], str]
    is_flag: bool = False
    at_least: int | None = None
    allowed: Sequence[str] = ()

    def text(self) -> str:
        """Return the help, which may be made when it is asked for."""
        return self.help if isinstance(self.help, str) else self.help()


@dataclass(frozen=True, kw_only=True)
class Syntax:
    """What a command accepts: options, values of these sections of the configuration, and what
    stands without dashes, named `operands`, if anything may. values: what the help says of the
    values of sections."""

    help: str
    options: Mapping[str, Option] = field(default_factory=dict)
    required: Sequence[str] = ()
    sections: Collection[str] = ()
    values: str = "list items by number: --quantize.rules.0.on=input"
    operands: str = ""


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One parsed command line."""

    command: str
    options: Mapping[str, str]
    overrides: Sequence[Override]
    operands: Sequence[str]

    def has(self, flag: str) -> bool:
        return flag in self.options

    def number(self, name: str) -> int:
        """Return an option that is a whole number from 0."""
        return _number(name, self.options[name])


def parse(arguments: Sequence[str], commands: Mapping[str, Syntax]) -> Invocation:
    """Parse what follows `main.py`. Without a command it is `train`. Raises UsageError."""
    rest = list(arguments)
    command = "train"
    if rest and not rest[0].startswith("-"):
        command = rest.pop(0)
    if command not in commands:
        hint = did_you_mean(command, commands) or f"; allowed: {', '.join(commands)}"
        raise UsageError(f"no command named {command!r}{hint}")
    syntax = commands[command]
    options: dict[str, str] = {}
    overrides: list[Override] = []
    operands: list[str] = []
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            operands.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        name = name if "." in name else name.replace("-", "_")
        is_value = syntax.sections and ("." in name or name in syntax.sections)
        if is_value and name not in syntax.options:
            overrides.append(parse_override(name, value if equals else _next(name, rest)))
            continue
        option = _option(name, command, syntax)
        if name in options:
            raise UsageError(f"--{name}: given twice")
        if option.is_flag and equals:
            raise UsageError(f"--{name}={value}: takes no value")
        options[name] = "" if option.is_flag else value if equals else _next(name, rest)
        if option.allowed and options[name] not in option.allowed:
            hint = did_you_mean(options[name], option.allowed)
            raise UsageError(
                f"--{name}={options[name]}: {' or '.join(option.allowed)} allowed{hint}"
            )
        if option.at_least is not None:
            _check_number(name, options[name], option.at_least)
    if operands and not syntax.operands:
        raise UsageError(f"{operands[0]!r}: {command} takes no argument without dashes")
    for name in syntax.required:
        if name not in options:
            raise UsageError(f"{command} needs --{name}=...; see: main.py {command} --help")
    return Invocation(command=command, options=options, overrides=overrides, operands=operands)


def _option(name: str, command: str, syntax: Syntax) -> Option:
    if name in syntax.options:
        return syntax.options[name]
    parts = [f"'{option}'" for option in syntax.options if option.startswith(f"{name}.")]
    hint = f"; did you mean {' or '.join(parts)}?" if parts else did_you_mean(name, syntax.options)
    hint = hint or f"; see: main.py {command} --help"
    raise UsageError(f"--{name}: {command} has no such option{hint}")


def _check_number(name: str, text: str, least: int) -> None:
    if _number(name, text, least) < least:
        raise UsageError(f"--{name}={text}: at least {least} allowed")


def _number(name: str, text: str, least: int = 0) -> int:
    if not text.isdecimal():
        raise UsageError(f"--{name}={text}: expected a whole number from {least}")
    return int(text)


def _next(name: str, rest: list[str]) -> str:
    if not rest or rest[0].startswith("--"):
        raise UsageError(f"--{name}: needs a value, as --{name}=VALUE")
    return rest.pop(0)


def usage(commands: Mapping[str, Syntax], command: str | None = None) -> str:
    """Return the help text of one command, or of all."""
    if command is None:
        lines = [
            "usage: python main.py [command] --problem=P --topology=T [--section.key=value ...]"
        ]
        lines += ["", "commands (train is the default):"]
        lines += [f"  {name:<10} {syntax.help}" for name, syntax in commands.items()]
        lines += ["", "python main.py <command> --help tells its options."]
        lines += [
            "Several processes: horovodrun -np 2 -H localhost:2 python main.py ..., torchrun, srun."
        ]
        return "\n".join(lines)
    syntax = commands[command]
    words = [f"--{name}=..." for name in syntax.required]
    if syntax.operands:
        words.append(syntax.operands)
    lines = [f"usage: python main.py {' '.join([command, *words])} [options]", "", syntax.help, ""]
    for name, option in syntax.options.items():
        shown = f"--{name}" if option.is_flag else f"--{name}=..."
        lines += wrap(
            option.text(),
            width=_WIDTH,
            initial_indent=f"  {shown:<18} ",
            subsequent_indent=" " * 21,
            break_on_hyphens=False,
        )
    if syntax.sections:
        section = next(iter(syntax.sections)) if len(syntax.sections) == 1 else "section"
        shown = f"--{section}.key=..."
        lines.append(f"  {shown:<18} sets a value of the configuration, read as YAML;")
        lines.append(f"                     {syntax.values}")
    return "\n".join(lines)
