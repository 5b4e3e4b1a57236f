"""The page about graphs: its examples run, and its picture is what is drawn today.

Run as a program (`python -m tests.quantlab.graphs.test_page`), it writes the picture.
"""

import pytest
import torch
from torch import Tensor, nn

from quantlab.algorithms.layers import attach
from quantlab.graphs.draw import draw
from quantlab.graphs.fold_batch_norm import fold_batch_norm
from quantlab.graphs.harmonize import harmonize
from quantlab.graphs.quantizers import insert_quantizers
from quantlab.graphs.trace import trace
from tests.docs.markdown import CHECKOUT, read_page
from tests.quantlab.graphs.networks import Block, Grid

PAGE = read_page(CHECKOUT / "docs" / "graphs.md")
PICTURE = CHECKOUT / "docs" / "pictures" / "graph.svg"
EXAMPLES = [block.text for block in PAGE.blocks if block.language == "python"]


class Pictured(nn.Module):
    """A stem, a block, and a head with a quantized weight."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.relu = nn.ReLU()
        self.block = Block(16)
        self.head = nn.Conv2d(16, 10, 1)
        attach(self.head, "weight", Grid(4, scale=0.05))

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(self.relu(self.stem(x)))
        return self.head(x).mean((2, 3))


def picture() -> str:
    gm = trace(Pictured().eval(), torch.zeros(1, 3, 32, 32))
    fold_batch_norm(gm)
    harmonize(gm, lambda path: Grid(8, scale=0.02))
    insert_quantizers(gm, ["x"], lambda path: Grid(8, signed=False, scale=1 / 255))
    insert_quantizers(
        gm, ["block.relu", "block.relu_1"], lambda path: Grid(4, signed=False, scale=0.2)
    )
    return draw(gm)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples_run(number: int) -> None:
    code = compile(EXAMPLES[number], f"docs/graphs.md, example {number + 1}", "exec")
    exec(code, {"__name__": "__example__"})


def test_the_picture_is_todays() -> None:
    assert "pictures/graph.svg" in "\n".join(PAGE.prose)
    assert PICTURE.read_text(encoding="utf-8") == picture()


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
