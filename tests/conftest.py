"""What all tests share: processes side by side, seeds, and fixtures that run whole experiments."""

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
from tests.durations import pytest_terminal_summary
from tests.lab import Lab, make_lab

__all__ = ["pytest_terminal_summary"]

# The examples of a CI are a function of the test, so that a red one can be repeated. Elsewhere each
# run tries others. None are refused because the machine is slow.
settings.register_profile(
    "local", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, database=None)
settings.load_profile("ci" if "CI" in os.environ else "local")


_MEMORY = Path("/dev/shm")
_ROOM = 2 << 30


def pytest_configure() -> None:
    """Give tests folders in memory, where making a file takes a tenth of the time as on a disk."""
    if "PYTEST_DEBUG_TEMPROOT" not in os.environ and os.access(_MEMORY, os.W_OK):
        volume = os.statvfs(_MEMORY)
        may_execute = not volume.f_flag & os.ST_NOEXEC
        if may_execute and volume.f_bavail * volume.f_frsize >= _ROOM:
            os.environ["PYTEST_DEBUG_TEMPROOT"] = str(_MEMORY)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Prepare the environment of the processes that share the tests."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in ("COLUMNS", "LINES"):  # those of no terminal: the readline library sets them
        os.unsetenv(name)


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


@pytest.fixture(scope="session", autouse=True)
def _old_objects_stay() -> None:
    """What was imported need not be looked at in every collection."""
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
