import torch
from torch import Tensor, nn

from quantlab.graphs.show import show
from quantlab.graphs.trace import trace


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.conv(x).chunk(2, dim=1)
        return torch.atan2(first * self.gain, second)


def test_one_line_for_each_node() -> None:
    assert show(trace(Network())).splitlines() == [
        "x = input()",
        "conv = conv(x)  # Conv2d(2, 2, kernel_size=(1, 1), stride=(1, 1))",
        "chunk = .chunk(conv, 2, dim=1)",
        "getitem = getitem(chunk, 0)",
        "getitem_1 = getitem(chunk, 1)",
        "gain = gain",
        "multiply = multiply(getitem, gain)  # Multiply()",
        "atan2 = atan2(multiply, getitem_1)",
        "output(atan2)",
    ]
