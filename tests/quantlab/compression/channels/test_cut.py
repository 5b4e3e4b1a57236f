import torch
from torch import nn

from quantlab.compression.channels.cut import compose, cut, take
from quantlab.compression.channels.follow import channels_of
from quantlab.graphs.trace import trace


def test_taking_and_composing() -> None:
    x = torch.arange(24).reshape(4, 3, 2)
    first = {"x": (torch.tensor([0, 2, 3]), None, None), "y": (torch.tensor([1]),)}
    then = {"x": (torch.tensor([1, 2]), torch.tensor([2]), None)}
    both = compose(first, then)
    assert torch.equal(take(take(x, first["x"]), then["x"]), take(x, both["x"]))
    assert both["y"] is first["y"]
    assert take(x, ()).data_ptr() != x.data_ptr()


def test_parameters_stay_the_objects_that_they_are() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), nn.PReLU(4), nn.Conv2d(4, 2, 1))
    gm = trace(network.eval(), torch.randn(2, 2, 3, 3))
    before = dict(gm.named_parameters())
    whole = {name: p.detach().clone() for name, p in before.items()}
    channels = channels_of(gm)
    labels = next(iter(channels.tensors.values()))
    kept = cut(gm, channels, {channels.root(labels.ids[1])})
    assert all(p is before[name] for name, p in gm.named_parameters())
    expected = {"0.weight", "0.bias", "2.weight", "3.weight"}
    norm = {f"1.{name}" for name in ("weight", "bias", "running_mean", "running_var")}
    assert set(kept) == expected | norm
    assert torch.equal(gm.get_parameter("3.weight"), whole["3.weight"][:, [0, 2, 3]])
    assert torch.equal(gm.get_parameter("0.bias"), whole["0.bias"][[0, 2, 3]])
    norm_module, prelu = gm.get_submodule("1"), gm.get_submodule("2")
    assert (norm_module.num_features, prelu.num_parameters) == (3, 3)
    assert gm(torch.randn(2, 2, 3, 3)).shape == (2, 2, 3, 3)
