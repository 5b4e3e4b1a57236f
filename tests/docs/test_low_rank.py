"""The example of docs/low-rank.md, and what it says of each layer."""

import re

import pytest
import torch

from tests.docs.markdown import CHECKOUT, read_page

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
PAGE = read_page(CHECKOUT / "docs" / "low-rank.md")


def test_the_example_says_what_the_page_does(capsys: pytest.CaptureFixture[str]) -> None:
    example, printed = (block.text for block in PAGE.blocks)
    torch.manual_seed(0)
    exec(compile(example, "low-rank.md", "exec"), {"__name__": "__example__"})
    said, told = capsys.readouterr().out.splitlines(), printed.splitlines()
    assert [NUMBER.sub("#", line) for line in said] == [NUMBER.sub("#", line) for line in told]
    for one, other in zip(NUMBER.findall("\n".join(said)), NUMBER.findall(printed), strict=True):
        # Constants change by a few bytes with the way that they are stored.
        assert float(one.replace(",", "")) == pytest.approx(float(other.replace(",", "")), rel=0.1)
