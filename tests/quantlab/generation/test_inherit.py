"""Networks that begin where another one ended; 0.1 s."""

import pytest
import torch
from torch import nn

from quantlab.errors import UsageError
from quantlab.generation import convert
from quantlab.generation.inherit import dense_weights, inherit


def test_a_weight_that_cannot_be_projected_leaves_the_network_as_it_was() -> None:
    dense = nn.Sequential(nn.Conv2d(6, 6, 3), nn.Conv2d(6, 6, 3))
    net = nn.Sequential(nn.Conv2d(6, 6, 3), nn.Conv2d(6, 6, 3))
    convert(net, {"base_in": 2, "base_out": 5})
    weights = dense_weights(dense)
    errors = inherit(net, weights, method="svd")
    assert errors.keys() == {"0", "1"}
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    broken = {name: tensor * 2 for name, tensor in weights.items()}
    broken["1.weight"][0, 0, 0, 0] = torch.nan
    with pytest.raises(UsageError, match="1: weight: 1 of 324 elements are not finite"):
        inherit(net, broken, method="svd")
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_a_network_on_a_gpu_gets_the_projection_of_the_processor() -> None:
    dense = nn.Sequential(nn.Conv2d(6, 6, 3))
    states = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(6, 6, 3))
        convert(net, {"base_in": 2, "base_out": 5})
        inherit(net.to(device), dense_weights(dense.to(device)), method="qals")
        states.append({name: tensor.cpu() for name, tensor in net.state_dict().items()})
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]), name
