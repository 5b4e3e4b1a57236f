"""The example of docs/compression.md, and what the page says that it prints."""

import re
from pathlib import Path
from shutil import which

import pytest

from quantlab.compression.target import HOST
from quantlab.deploy.c.boards.table import BOARDS
from tests.docs.markdown import CHECKOUT, Block, read_page

PAGE = read_page(CHECKOUT / "docs" / "compression.md")
NUMBER = re.compile(r"\d[\d,.]*")


def the_block(start: str) -> Block:
    (block,) = [block for block in PAGE.blocks if block.text.startswith(start)]
    return block


def shape_of(line: str) -> str:
    """Return a line without its figures, and without the spaces and encodings between them."""
    return re.sub(r"\b(small_)?(dense|csr|rice|small|nibbles)\b", "#", NUMBER.sub("#", line))


@pytest.mark.long
@pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
def test_the_example_fits_its_budget_and_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    example = the_block("import torch").text
    assert len([line for line in example.splitlines() if line]) <= 20
    board = "c-m3" if which(BOARDS["c-m3"].compiler) else HOST
    example = example.replace('budget="20 KB"', f'budget="20 KB", board="{board}"')
    names: dict[str, object] = {"__name__": "__example__"}
    exec(compile(example, "compression.md", "exec"), names)
    printed = capsys.readouterr().out
    told = the_block("layer").text.replace("c-m3", board)
    shapes = [shape_of(line).split() for line in printed.splitlines()]
    for line in told.splitlines():
        assert shape_of(line).split() in shapes, line
    (flash,) = re.findall(r"flash: ([\d,]+) bytes of 20,000", printed)
    assert int(flash.replace(",", "")) <= 20_000
    assert (tmp_path / "small" / "c" / "model.c").is_file()
    assert (tmp_path / "small" / "report.txt").read_text().strip() == printed.strip()


def test_the_figures_of_the_page_add_up() -> None:
    rows = [line.split() for line in the_block("layer").text.splitlines()]
    totals = {row[0]: int(row[-1].replace(",", "")) for row in rows if row and len(row) == 5}
    (flash,) = [int(row[1].replace(",", "")) for row in rows if row and row[0] == "flash:"]
    assert totals["all"] == flash <= 20_000
    assert sum(total for name, total in totals.items() if name != "all") < flash
