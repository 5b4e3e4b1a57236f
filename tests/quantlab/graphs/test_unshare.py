import torch
from torch import Tensor, fx, nn

from quantlab.graphs.unshare import twin, unshare
from tests.quantlab.graphs.networks import CarryingConv2d, Grid, calls


class Twice(nn.Module):
    """One convolution, batch norm, ReLU and quantizer in two places each."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)
        self.bn = nn.BatchNorm2d(2)
        self.relu = nn.ReLU()
        self.relu_1 = nn.ReLU()
        self.alias = self.relu
        self.quantizer = Grid()

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            x = self.quantizer(self.relu(self.bn(self.conv(x))))
        return self.relu_1(self.alias(x))


class Keep(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not isinstance(m, nn.Sequential)


def graph(network: nn.Module) -> fx.GraphModule:
    return fx.GraphModule(network, Keep().trace(network))


def test_each_call_has_its_module() -> None:
    network = Twice()
    gm = graph(network)
    report = unshare(gm)
    one, two = ["conv", "bn", "relu", "quantizer"], ["conv_1", "bn_1", "relu_2", "quantizer"]
    assert calls(gm) == [*one, *two, "relu_3", "relu_1"]
    assert report.lines == (
        "conv_1: a copy of conv",
        "bn_1: a copy of bn",
        "relu_2: a copy of relu",
        "relu_3: a copy of relu",
    )
    assert gm.conv is network.conv
    assert gm.conv_1 is not network.conv
    assert gm.conv_1.weight is gm.conv.weight
    assert gm.bn_1.running_mean is gm.bn.running_mean
    assert len(list(gm.parameters())) == len(list(network.parameters()))
    assert not unshare(gm).lines


def test_training_updates_one_set_of_statistics() -> None:
    x = torch.randn(4, 2, 3, 3)
    network, other = Twice().train(), Twice().train()
    other.load_state_dict(network.state_dict())
    gm = graph(network)
    unshare(gm)
    for _ in range(3):
        assert torch.equal(gm(x), other(x))
    assert torch.equal(gm.bn.running_var, other.bn.running_var)
    assert int(gm.bn_1.num_batches_tracked) == 6
    gm(x).sum().backward()
    other(x).sum().backward()
    torch.testing.assert_close(gm.conv.weight.grad, other.conv.weight.grad)


def test_a_twin_is_its_own_object() -> None:
    seen = []
    conv = nn.Conv2d(2, 2, 1, padding_mode="reflect").eval()
    conv.register_forward_hook(lambda *args: seen.append(args[0]))
    conv.note = ["mutable"]
    copy = twin(conv)
    copy(torch.zeros(1, 2, 2, 2))
    assert seen == [copy]
    assert (copy.padding_mode, copy.training) == ("reflect", False)
    copy.register_forward_hook(lambda *args: None)
    copy.extra = nn.ReLU()
    copy.note.append("changed")
    assert len(conv._forward_hooks) == 1
    assert not hasattr(conv, "extra")
    assert conv.note == ["mutable"]


def test_a_twin_of_a_carrying_layer_has_its_quantizers() -> None:
    conv = CarryingConv2d(2, 2, 1, quantizers={"weight_quantizer": Grid()})
    assert twin(conv).weight_quantizer is conv.weight_quantizer
