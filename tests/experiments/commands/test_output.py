"""Standard output: tables that lose nothing, and what becomes of a command that cannot print."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.table import Table

import main
from experiments import progress
from experiments.commands import report
from experiments.progress import Output, show
from quantlab.integer.report import LayerCost, Report
from tests.experiments.commands.test_report import trained
from tests.lab import TOY_RUN, Lab

__all__ = ["trained"]

Captured = pytest.CaptureFixture[str]
LONG = "problems/" + "folder/" * 40 + "program.qlp"


@contextmanager
def full() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@contextmanager
def without_reader() -> Iterator[int]:
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


def run(lab: Lab, stdout: int, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run main.py as a process of its own."""
    return subprocess.run(
        [sys.executable, "main.py", *arguments],
        cwd=lab.home,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [("list",), ("--help",)])
def test_a_full_output_is_told_as_such(lab: Lab, arguments: tuple[str, ...]) -> None:
    with full() as stdout:
        done = run(lab, stdout, *arguments)
    line = "main.py: standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, line)


@pytest.mark.parametrize("arguments", [("list",), ("--help",)])
def test_a_reader_that_has_enough_is_no_error(lab: Lab, arguments: tuple[str, ...]) -> None:
    with without_reader() as stdout:
        done = run(lab, stdout, *arguments)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_output_is_told_before_anything_is_done(lab: Lab) -> None:
    command = f"exec {sys.executable} main.py {' '.join(TOY_RUN)} >&-"
    done = subprocess.run(
        ["bash", "-c", command], cwd=lab.home, stderr=subprocess.PIPE, text=True, check=False
    )
    line = "main.py: standard output: closed; send it somewhere, to /dev/null for example\n"
    assert (done.returncode, done.stderr) == (2, line)
    assert lab.everything_in_logs() == []


def train_into(lab: Lab, monkeypatch: pytest.MonkeyPatch, stdout: int) -> int:
    monkeypatch.setattr(progress.console, "quiet", False)
    with os.fdopen(os.dup(stdout), "w") as file, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", file)
        return main.main([*TOY_RUN])


def test_a_training_goes_on_without_a_reader(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    with without_reader() as stdout:
        assert train_into(lab, monkeypatch, stdout) == 0
    assert lab.record()["status"] == "done"
    assert "epoch   2/2" in (lab.folder().path / "log.rank0.txt").read_text()


def test_a_training_whose_output_is_full_says_the_code_in_its_record(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    with full() as stdout:
        assert train_into(lab, monkeypatch, stdout) == 2
    assert capsys.readouterr().err == "main.py: standard output: No space left on device\n"
    assert (lab.record()["status"], lab.record()["exit_code"]) == ("failed", 2)


def shown(width: int | None, *, is_terminal: bool) -> str:
    """What `show` prints of a table with a long cell."""
    console = Output(width=width, force_terminal=is_terminal, color_system=None)
    table = Table("artefact", "file")
    table.add_row("program", LONG)
    with console.capture() as capture:
        show(table, console)
    return capture.get()


def test_a_table_in_a_pipe_is_as_wide_as_it_needs() -> None:
    assert LONG in shown(progress.PIPE_WIDTH, is_terminal=False)


def test_a_table_on_a_terminal_cuts_nothing() -> None:
    lines = shown(60, is_terminal=True).splitlines()
    assert max(map(len, lines)) <= 60
    cells = [line.split("\u2502")[2] for line in lines if line.count("\u2502") == 3]
    assert "".join(cell.strip() for cell in cells).endswith(LONG)


def test_export_says_where_its_files_are_on_a_narrow_terminal(
    trained: Lab, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress.console, "width", 50)
    capsys.readouterr()
    assert main.main(["export", "--problem=Toy", "--exp_id=0", "--to=program"]) == 0
    lines = capsys.readouterr().out.splitlines()
    folder = trained.folder().fold(0) / "deploy" / "best"
    assert f"folder: {folder}" in lines
    assert any("program.qlp" in line for line in lines)


def test_report_shows_whole_names_in_a_pipe(
    trained: Lab, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "_LONGEST", 4)  # of the layers of a network this small
    assert main.main(["report", "--problem=Toy", "--exp_id=0", "--samples=2"]) == 0
    out = capsys.readouterr().out
    assert "linear" in out
    assert ".." not in out.partition("MACs")[0]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_report_names_all_layers_on_a_narrow_terminal(width: int) -> None:
    cost = LayerCost(
        layer="features.conv", operation="Convolution", output="x", shape=(8, 6, 6), input_bits=8,
        weight_bits=8, num_bytes=288, macs=12_300, bit_operations=45_600_000,
        accumulator_bits=28, headroom=4, sqnr_db=43.5, clipping_percent=0.25,
    )  # fmt: skip
    console = Output(width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        show(report.table(Report(layers=(cost,), header_bytes=1, reading_bytes=1), "x"), console)
    lines = capture.get().splitlines()
    names = "".join(line[1:].split("  ")[0].strip() for line in lines)
    assert "features.conv" in names
    assert any("45.6M" in line and "43.5" in line for line in lines)


def test_clean_names_runs_whole_on_a_narrow_terminal(
    trained: Lab, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress.console, "width", 40)
    capsys.readouterr()
    assert main.main(["clean", "--problem=Toy"]) == 0
    assert "Toy/exp000" in capsys.readouterr().out
