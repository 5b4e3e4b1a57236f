"""How the tests are run: where, in how many processes, and what is said of them."""

import os
import shutil
from pathlib import Path

import pytest

from tests.durations import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]

_MEMORY = Path("/dev/shm")
_ROOM = 2 << 30


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_DEBUG_TEMPROOT" not in os.environ and _is_fit_for_folders(_MEMORY):
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(_MEMORY)
    if not config.getoption("numprocesses", None):  # who only hands out tests needs no torch
        config.pluginmanager.import_plugin("tests.fixtures")


def _is_fit_for_folders(memory: Path) -> bool:
    """Return whether tests can work in memory. Making a file there takes a tenth of the time."""
    if not os.access(memory, os.W_OK):
        return False
    volume = os.statvfs(memory)
    return volume.f_bavail * volume.f_frsize >= _ROOM and not volume.f_flag & os.ST_NOEXEC


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Free the memory. Folders stay until here, as threads of runs that failed may still write."""
    if exitstatus == 0 and not hasattr(session.config, "workerinput"):
        shutil.rmtree(session.config._tmp_path_factory.getbasetemp(), ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Prepare the environment of the processes that share the tests."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # more threads, where asked for, wait idly
    for name in ("COLUMNS", "LINES"):  # those of no terminal: the readline library sets them
        os.unsetenv(name)
