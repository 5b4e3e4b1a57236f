"""The links of a problem, made by the script when they are missing."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from experiments import storage
from experiments.library import Problem
from experiments.protocols import DataModule
from experiments.storage import ensure_links
from problems.images.meter import ClassificationMeter
from quantlab.errors import UsageError
from tests.lab import CHECKOUT


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of the scripts alone, with one problem."""
    shutil.copytree(CHECKOUT / "cfg", tmp_path / "cfg")
    (tmp_path / "cfg" / "hard_folders.json").write_text('{"data": "storage", "logs": "storage"}')
    (tmp_path / "problems" / "Toy").mkdir(parents=True)
    monkeypatch.setattr(storage, "HOME", tmp_path)
    return tmp_path


@pytest.fixture
def problem(home: Path) -> Problem:
    data = cast(DataModule, SimpleNamespace())
    return Problem(
        name="Toy", folder=home / "problems" / "Toy", data=data, meter=ClassificationMeter
    )


def replace_script(home: Path, script: str) -> None:
    (home / "cfg" / "problem.sh").write_text(script)


def storage_of(home: Path, name: str) -> Path:
    return home / "storage" / "QuantLab" / "problems" / "Toy" / name


@pytest.mark.parametrize("missing", [("data", "logs"), ("data",), ("logs",), ()])
def test_what_is_missing_is_made(home: Path, problem: Problem, missing: tuple[str, ...]) -> None:
    ensure_links(problem)
    for name in missing:
        (problem.folder / name).unlink()
    ensure_links(problem)
    for link in (problem.data_folder, problem.logs_folder):
        assert link.is_symlink()
        assert link.resolve() == storage_of(home, link.name)
        assert link.is_dir()


def test_what_the_links_hold_stays(home: Path, problem: Problem) -> None:
    ensure_links(problem)
    (problem.data_folder / "patches.txt").write_text("patches")
    problem.logs_folder.unlink()
    ensure_links(problem)
    assert (storage_of(home, "data") / "patches.txt").read_text() == "patches"


def test_a_link_to_a_folder_that_is_gone_leads_somewhere_again(
    home: Path, problem: Problem
) -> None:
    ensure_links(problem)
    shutil.rmtree(storage_of(home, "logs"))
    ensure_links(problem)
    assert problem.logs_folder.is_dir()


def test_no_script_runs_when_both_are_there(home: Path, problem: Problem) -> None:
    problem.data_folder.mkdir()
    problem.logs_folder.mkdir()
    replace_script(home, 'touch "$(dirname "$0")/ran"; exit 2')
    ensure_links(problem)
    assert not (home / "cfg" / "ran").exists()


def test_the_script_is_told_the_problem(home: Path, problem: Problem) -> None:
    replace_script(home, 'echo "$@" > "$(dirname "$0")/arguments"')
    ensure_links(problem)
    assert (home / "cfg" / "arguments").read_text() == "Toy\n"


def test_the_error_is_the_line_of_the_script(problem: Problem) -> None:
    problem.logs_folder.write_text("in the way")
    with pytest.raises(UsageError) as caught:
        ensure_links(problem)
    assert str(caught.value) == (
        f"problem.sh: '{problem.logs_folder}' is a file where a link must be; move it away"
    )
    assert not problem.data_folder.exists()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo out; echo first >&2; echo 'the [last]' >&2; exit 1", "the [last]"),
        ("echo out; exit 1", "cfg/problem.sh failed"),
        ("echo '  ' >&2; exit 3", "cfg/problem.sh failed"),
    ],
)
def test_whatever_a_failing_script_says_is_one_line(
    home: Path, problem: Problem, script: str, message: str
) -> None:
    replace_script(home, script)
    with pytest.raises(UsageError) as caught:
        ensure_links(problem)
    assert str(caught.value) == message
