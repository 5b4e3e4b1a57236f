"""The notebooks run from the first cell to the last, and end as they say."""

import re
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from quantlab.compression.target import HOST
from quantlab.deploy.c.boards.table import BOARDS
from tests.docs.markdown import CHECKOUT

NOTEBOOK = CHECKOUT / "docs" / "notebooks" / "compress.py"
CELL = re.compile(r"^# %%(?P<kind>.*)\n", re.MULTILINE)
needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")


def cells(path: Path) -> list[tuple[str, str]]:
    """Return what stands behind each `# %%`, and the lines below."""
    _, *parts = CELL.split(path.read_text(encoding="utf-8"))
    return list(zip(parts[::2], parts[1::2], strict=True))


def run(path: Path, parameters: dict[str, object]) -> dict[str, Any]:
    """Run a notebook with other parameters; return its names."""
    names: dict[str, Any] = {"__name__": "__notebook__"}
    for kind, text in cells(path):
        if "markdown" not in kind:
            exec(compile(text, path.name, "exec"), names)
        if "parameters" in kind:
            assert set(parameters) <= set(names)
            names.update(parameters)
    return names


def test_it_is_text_in_the_percent_format() -> None:
    found = cells(NOTEBOOK)
    for kind, text in found:
        lines = [line for line in text.splitlines() if line]
        assert lines
        is_text = all(line.startswith("#") for line in lines)
        assert is_text == (kind == " [markdown]")
    assert sum("parameters" in kind for kind, _ in found) == 1
    assert found[0][1].startswith("# # ")


SMALL = {
    "NUM_TRAIN": 64,
    "NUM_VALID": 32,
    "NUM_TEST": 32,
    "EPOCHS": 1,
    "COMPRESSION_EPOCHS": 3,
    "BUDGETS": (40_000,),
    "BOARD": HOST,
}


@pytest.mark.long
@needs_compiler
def test_it_runs_with_few_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(CHECKOUT)
    names = run(NOTEBOOK, {**SMALL, "FOLDER": tmp_path})
    said = capsys.readouterr().out
    assert "c: 0 of" in said
    assert "flash: " in said
    (result,) = names["results"].values()
    assert result.report.flash <= 40_000
    assert (tmp_path / "curves.svg").read_text().count("<circle") == 1


@pytest.mark.long
@needs_compiler
def test_it_keeps_its_accuracy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    board = "c-m3" if which(BOARDS["c-m3"].compiler) else HOST
    names = run(NOTEBOOK, {"FOLDER": tmp_path, "BOARD": board})
    reports = {budget: result.report for budget, result in names["results"].items()}
    for budget, report in reports.items():
        assert report.flash <= budget
        assert report.accuracy > report.dense_accuracy - 2
    assert all(comparison.num_mismatches == 0 for comparison in names["comparisons"])
