"""Fixtures of all tests that run whole experiments."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import problems
from experiments import library, storage
from experiments.commands import conduct
from experiments.configuration import resolve
from experiments.runs import environment
from tests.lab import Lab, make_lab


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
    gc.collect()  # what a test left open counts against that test


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
