"""The table, which knows the commands without importing them, is true of each."""

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from types import FunctionType, ModuleType

import pytest

from experiments.commands import options, predict, report, verify, verify_torchvision
from experiments.commands.table import COMMANDS
from experiments.processes.launcher import LAUNCHERS
from quantlab.deploy.table import ARTEFACTS, engines

READ = re.compile(r'invocation\.(?:has\(|number\(|options(?:\.get\(|\[))"([\w.]+)"')

commands = pytest.mark.parametrize("name", COMMANDS)


def implementation(name: str) -> ModuleType:
    return import_module(f"experiments.commands.{COMMANDS[name].module}")


def options_read(function: Callable[..., object], seen: set[object]) -> set[str]:
    """Return the options that a function asks for by name, and those of this folder it calls."""
    seen.add(function)
    names = set(READ.findall(inspect.getsource(function)))
    for called in map(inspect.getclosurevars(function).globals.get, function.__code__.co_names):
        is_own = isinstance(called, FunctionType) and called not in seen
        if is_own and called.__module__.startswith("experiments.commands."):
            names |= options_read(called, seen)
    return names


@commands
def test_options_are_those_that_are_read(name: str) -> None:
    assert options_read(implementation(name).run, set()) == set(COMMANDS[name].syntax.options)


def test_export_has_the_options_of_all_artefacts() -> None:
    meanings = {name: text for row in ARTEFACTS.values() for name, text in row.options.items()}
    assert set(options.OF_ARTEFACTS) == set(meanings)
    for name, text in meanings.items():
        assert COMMANDS["export"].syntax.options[name].text() == text


@pytest.mark.parametrize(
    ("name", "option", "words"),
    [
        ("train", "dist", "{}, {}, {} or {}".format(*LAUNCHERS)),
        ("predict", "top", f"by default {predict._NUM_GUESSES}"),
        ("report", "samples", f"{report._NUM_SAMPLES} by default"),
        ("report", "html", f"by default {report.PAGE} beside {report.LAYERS}"),
        ("verify", "backends", f"{', '.join(engines())};"),
        ("verify", "samples", f"{verify._NUM_SAMPLES} by default"),
        ("verify", "samples", f", {verify_torchvision._NUM_PHOTOS} photos"),
        ("export", "to", f"{', '.join(ARTEFACTS)};"),
    ],
)
def test_help_says_what_the_command_does(name: str, option: str, words: str) -> None:
    assert words in COMMANDS[name].syntax.options[option].text()
