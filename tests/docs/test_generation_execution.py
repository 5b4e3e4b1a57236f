"""The example of docs/generation-execution.md."""

from typing import Any

import pytest
import torch

from quantlab.generation.execution.mode import EXECUTION_MODES
from tests.docs.markdown import CHECKOUT, read_page

PAGE = read_page(CHECKOUT / "docs" / "generation-execution.md")


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = [block.text for block in PAGE.blocks if block.language == "python"]
    names: dict[str, Any] = {}
    exec(compile(example, "generation-execution.md", "exec"), names)
    with torch.no_grad():
        expected = names["network"](names["images"])
    torch.testing.assert_close(names["scores"], expected, rtol=1e-5, atol=1e-5)
    report = capsys.readouterr().out
    assert [line.split()[0] for line in report.splitlines()[1:]] == ["0", "3", "8", "all"]
    (calls,) = [block.text for block in PAGE.blocks if "mode=" in block.text and not block.language]
    for call in calls.splitlines():
        eval(call, names)


def test_all_modes_are_described() -> None:
    rows = [row[0].strip("`") for row in PAGE.rows]
    assert rows[: len(EXECUTION_MODES)] == list(EXECUTION_MODES)
