"""What every test has: seeds, examples, and a copy of the checkout if it asks for one."""

import gc
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

import problems
from experiments import library, storage
from experiments.configuration import resolve
from experiments.experiment import conduct
from experiments.runs import environment
from tests.lab import Lab, make_lab

# The examples of a CI are a function of the test, so that a red one can be repeated. Elsewhere each
# run tries others. None are refused because the machine is slow.
settings.register_profile(
    "local", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, database=None)
settings.load_profile("ci" if "CI" in os.environ else "local")


def _seed() -> None:
    """Begin alike: torch draws another seed for each process, a test begins where one ended."""
    random.seed(0)
    torch.default_generator.manual_seed(0)  # torch.manual_seed keeps a stack trace for each GPU


def pytest_collectstart() -> None:
    _seed()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    _seed()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A copy of the checkout, in which `main.main([...])` of this process works too."""
    made = make_lab(tmp_path / "lab")
    for module in (library, storage, conduct, resolve, environment):
        monkeypatch.setattr(module, "HOME", made.home)
    for module in (library, resolve):
        monkeypatch.setattr(module, "PROBLEMS", made.problems)
    monkeypatch.setattr(problems, "__path__", [*problems.__path__, str(made.problems)])
    for name in ("HOROVOD_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    threads = torch.get_num_threads()
    yield made
    torch.set_num_threads(threads)
    forget_problems(made.problems)
    gc.collect()  # what a test left open counts against that test


def forget_problems(folder: Path) -> None:
    """Drop the modules of problems that are in this folder alone."""
    for name in [name for name in sys.modules if name.startswith("problems.")]:
        if Path(sys.modules[name].__file__ or "/").is_relative_to(folder):
            del sys.modules[name]


@pytest.fixture(scope="module", autouse=True)
def _old_objects_stay() -> None:
    """What was imported by now, by modules tested before too, need not be looked at in every
    collection: late in a run that took 0.1 s of each test with a lab."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _no_colors() -> Iterator[None]:
    """Plain text from tables, whatever terminal the tests run in."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "200"
    yield
    if before is None:
        del os.environ["COLUMNS"]
    else:
        os.environ["COLUMNS"] = before
