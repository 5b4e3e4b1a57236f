"""A trained network with exits: what each threshold costs and gives on digits it never saw."""

from dataclasses import replace
from pathlib import Path
from shutil import which

import pytest

from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.exits.host import verify_exits
from quantlab.deploy.c.exits.measure import measure_exits
from quantlab.deploy.c.exits.model import exit_model
from quantlab.deploy.folder import write_files
from quantlab.exits.cost import exit_macs
from quantlab.exits.report import exit_report
from quantlab.exits.thresholds import choose_thresholds
from tests.quantlab.deploy.boards import engine
from tests.quantlab.exits.trained import OFFICIAL, trained

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not OFFICIAL.is_dir(), reason=f"needs the MNIST files in {OFFICIAL}"),
]
needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")


def test_a_lower_floor_saves_more_and_test_digits_lose_little_more_than_it_allows() -> None:
    made = trained()
    costs = exit_macs(made.exits)
    whole = exit_report(made.valid.scores, made.valid.targets, (2**32 - 1,) * 2, costs)
    saved = []
    for loss in (0.0, 0.5, 1.0, 3.0):
        floor = whole.accuracy - loss
        thresholds = choose_thresholds(made.valid.scores, made.valid.targets, floor=floor)
        valid = exit_report(made.valid.scores, made.valid.targets, thresholds, costs)
        test = exit_report(made.test.scores, made.test.targets, thresholds, costs)
        assert valid.accuracy >= floor
        assert test.accuracy > 99 - loss - 1
        saved.append(test.cost / costs[-1])
    assert saved == sorted(saved, reverse=True)
    assert saved[1] < 0.6


@needs_compiler
def test_c_gives_the_scores_and_exits_of_test_digits(tmp_path: Path) -> None:
    made = trained()
    floor = 98.5
    thresholds = choose_thresholds(made.valid.scores, made.valid.targets, floor=floor)
    exits = replace(made.exits, thresholds=thresholds)
    write_files(exit_model(exits).files, tmp_path)
    verify_exits(exits, tmp_path, {"input": made.test.raw[:500]})


@pytest.mark.parametrize("name", [engine("c-m3")])
def test_instructions_of_a_board_are_costs_too(name: str) -> None:
    made = trained()
    costs = [one.instructions for one in measure_exits(made.exits, BOARDS[name])]
    thresholds = choose_thresholds(
        made.valid.scores, made.valid.targets, cost=0.5 * costs[-1], costs=costs
    )
    found = exit_report(made.test.scores, made.test.targets, thresholds, costs, unit="instructions")
    assert found.cost < 0.6 * costs[-1]
    assert found.accuracy > 97
