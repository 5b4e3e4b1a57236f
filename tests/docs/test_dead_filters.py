"""The example of docs/dead-filters.md, and what it says of each layer."""

import pytest
import torch

from tests.docs.markdown import CHECKOUT, read_page

PAGE = read_page(CHECKOUT / "docs" / "dead-filters.md")


def test_the_example_says_what_the_page_does(capsys: pytest.CaptureFixture[str]) -> None:
    example, printed = (block.text for block in PAGE.blocks)
    torch.manual_seed(0)
    made: dict[str, object] = {"__name__": "__example__"}
    exec(compile(example, "dead-filters.md", "exec"), made)
    assert capsys.readouterr().out.splitlines() == printed.splitlines()
    network, smaller, x = made["network"], made["smaller"], torch.rand(4, 1, 8, 8)
    assert torch.allclose(network(x), smaller(x), atol=1e-6)
    for name, parameter in smaller.named_parameters():
        assert made["momentum"][name].shape == parameter.shape
    for name, mask in made["masks"].items():
        assert mask.shape == smaller.get_submodule(name).weight.shape
