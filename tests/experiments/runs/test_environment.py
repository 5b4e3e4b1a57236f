"""What a record says about commit, packages and machine."""

import json
import platform
import shlex
import socket
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.runs import environment

NOTHING = {"commit": None, "diff": None, "untracked": None}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of the program, in no checkout; git without the user's settings."""
    monkeypatch.setattr(environment, "HOME", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    command = ["git", *identity, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def commit(folder: Path, text: str) -> str:
    """Commit a file `notes`; return the hash."""
    (folder / "notes").write_text(text)
    git(folder, "add", "notes")
    git(folder, "commit", "-m", "notes")
    return git(folder, "rev-parse", "HEAD").strip()


def test_the_commit_of_a_clean_checkout(folder: Path) -> None:
    git(folder, "init")
    expected = commit(folder, "one\n")
    assert environment.git_state() == {"commit": expected, "diff": "", "untracked": []}


@pytest.mark.parametrize("is_staged", [False, True])
def test_the_difference_to_the_commit(folder: Path, is_staged: bool) -> None:
    git(folder, "init")
    expected = commit(folder, "one\ntwo\n")
    (folder / "notes").write_text("one\nthree\n")
    if is_staged:
        git(folder, "add", "notes")
    found = environment.git_state()
    assert found["commit"] == expected
    lines = found["diff"].splitlines()
    assert lines[0] == "diff --git a/notes b/notes"
    assert lines[-3:] == [" one", "-two", "+three"]


def test_files_that_git_does_not_know(folder: Path) -> None:
    git(folder, "init")
    commit(folder, "one\n")
    (folder / ".gitignore").write_text("*.log\n")
    (folder / "new").mkdir()
    for name in ("run.log", "new/topology.py"):
        (folder / name).write_text("text\n")
    assert environment.git_state()["untracked"] == [".gitignore", "new/topology.py"]
    assert environment.git_state()["diff"] == ""


def test_outside_a_checkout_there_is_neither(folder: Path) -> None:
    assert environment.git_state() == NOTHING


def test_before_the_first_commit_there_is_neither(folder: Path) -> None:
    git(folder, "init")
    (folder / "notes").write_text("one\n")
    git(folder, "add", "notes")
    assert environment.git_state() == NOTHING


def test_without_git_there_is_neither(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(folder, "init")
    commit(folder, "one\n")
    monkeypatch.setenv("PATH", str(folder / "no programs"))
    assert environment.git_state() == NOTHING


def test_a_shell_reads_the_command_back(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["main.py", "--experiment.name=it's $HOME; rm *", "", '--list=["a", b]']
    monkeypatch.setattr(sys, "executable", "/opt/a b/bin/python3.12")
    monkeypatch.setattr(sys, "argv", arguments)
    assert shlex.split(environment.command()) == ["python3.12", *arguments]


def test_the_versions_of_what_computes() -> None:
    found = environment.packages()
    assert found["python"] == platform.python_version()
    assert found["numpy"] == np.__version__
    assert torch.__version__.startswith(found["torch"].partition("+")[0])
    assert "quantlab" in found


def test_what_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name != "torch":
            raise PackageNotFoundError(name)
        return "1.2.3"

    monkeypatch.setattr(environment, "version", version)
    expected = {"python": platform.python_version(), "torch": "1.2.3"}
    assert environment.packages() == expected


def test_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"Card {index}")
    found = environment.host()
    assert found["name"] == socket.gethostname()
    assert found["machine"] == platform.machine()
    assert found["gpus"] == ["Card 0", "Card 1"]
    assert json.loads(json.dumps(found)) == found
