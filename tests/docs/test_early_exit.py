"""The examples of docs/early-exit.md: they run, and what they write compiles and computes."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.exits.measure import measure_exits
from quantlab.exits.cost import exit_macs
from quantlab.exits.program import NEVER
from quantlab.exits.report import ExitReport, exit_report
from quantlab.exits.thresholds import choose_thresholds
from tests.docs.markdown import CHECKOUT, read_page
from tests.quantlab.deploy.boards import engine
from tests.quantlab.exits.trained import OFFICIAL, trained

NUMBER = re.compile(r"\d[\d,.]*")
PAGE = read_page(CHECKOUT / "docs" / "early-exit.md")
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: cc")


def block(language: str) -> str:
    (text,) = [block.text for block in PAGE.blocks if block.language == language]
    return text


@needs_compiler
@pytest.mark.long
def test_ones_own_network_becomes_c_that_a_caller_compiles_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    example = block("python")
    assert len([line for line in example.splitlines() if line]) <= 22
    torch.manual_seed(1)  # head and next segment have quantizers of different scales
    exec(compile(example, "early-exit.md", "exec"), {"__name__": "__example__"})
    shapes = [NUMBER.sub("#", line).split() for line in capsys.readouterr().out.splitlines()]
    (told,) = [block.text for block in PAGE.blocks if block.text.startswith("exit ")]
    assert shapes == [NUMBER.sub("#", line).split() for line in told.splitlines()]
    (tmp_path / "caller.c").write_text('#include "model.h"\n\n' + block("c"))
    sources = ["caller.c", "my_model/model.c", "my_model/model_ee.c"]
    sources += map(str, (tmp_path / "my_model" / "runtime").glob("*.c"))
    flags = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-Imy_model", "-shared"]
    subprocess.run(["cc", *flags, "-fPIC", *sources, "-o", "model.so"], check=True)


@pytest.mark.long
@pytest.mark.skipif(not OFFICIAL.is_dir(), reason=f"needs the MNIST files in {OFFICIAL}")
@pytest.mark.parametrize("name", [engine("c-m3")])
def test_figures_are_those_of_the_trained_network(name: str) -> None:
    made, rows = trained(), PAGE.section("Figures").rows
    macs = exit_macs(made.exits)
    instructions = [one.instructions for one in measure_exits(made.exits, BOARDS[name])]

    def tested(thresholds: tuple[int, ...], costs: list[int]) -> ExitReport:
        return exit_report(made.test.scores, made.test.targets, thresholds, costs)

    never = (NEVER, NEVER)
    whole = exit_report(made.valid.scores, made.valid.targets, never, macs).accuracy
    chosen = [
        choose_thresholds(made.valid.scores, made.valid.targets, floor=whole - loss)
        for loss in (0, 0.5, 1, 3)
    ]
    for row, thresholds in zip(rows, [never, *chosen], strict=True):
        found = tested(thresholds, macs)
        shares = [float(cell.removesuffix(" %")) for cell in row[1:4]]
        assert shares == pytest.approx([one.share for one in found.exits], abs=1)
        assert float(row[4].removesuffix(" %")) == pytest.approx(found.accuracy, abs=0.3)
        assert float(row[5].replace(",", "")) == pytest.approx(found.cost, rel=0.03)
        counted = tested(thresholds, instructions).cost
        assert float(row[6].replace(",", "")) == pytest.approx(counted, rel=0.05)
