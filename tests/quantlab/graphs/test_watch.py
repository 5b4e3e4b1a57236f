import torch
from torch import Tensor, nn

from quantlab.graphs.leaves import is_leaf
from quantlab.graphs.watch import Call, watching
from tests.quantlab.graphs.networks import CarryingConv2d, Grid


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.again = self.relu
        self.conv = CarryingConv2d(1, 1, 1, quantizers={"input_quantizer": Grid()})
        self.bilinear = nn.Bilinear(1, 1, 1)
        self.pool = nn.MaxPool2d(1, return_indices=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.again(self.relu(x)))
        x, _ = self.pool(x)
        return self.bilinear(x, input2=x)


def test_calls_of_leaves_in_order() -> None:
    network = Network()
    plain = Call(num_inputs=1, is_plain=True)
    other = Call(num_inputs=1, is_plain=False)
    with watching(network, is_leaf) as calls:
        network(torch.zeros(1, 1, 1, 1))
    assert calls == {
        network.relu: [plain, plain],
        network.conv: [plain],  # and not the quantizer within
        network.pool: [other],  # two results
        network.bilinear: [other],  # an argument by name
    }
    network(torch.zeros(1, 1, 1, 1))
    assert len(calls[network.relu]) == 2
    assert not any(m._forward_hooks for m in network.modules())
