"""Calibration after training leaves the factors of generated weights on their grids."""

import pytest
import torch
from torch import nn

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.errors import UsageError
from quantlab.generation import convert
from quantlab.generation.spec import FactorQuantizer


def network_of(quantizer: FactorQuantizer) -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten())
    convert(network, {"base_in": 2, "base_out": 3, "quantizer": quantizer, "layers": "2"})
    return network.eval()


@pytest.mark.parametrize("quantizer", ["lsq", "midtread", "dorefa_sym"])
def test_weights_stay_as_they_are(quantizer: FactorQuantizer) -> None:
    network = network_of(quantizer)
    layer = network[2]
    with torch.no_grad():
        for module in layer.children():
            if module is not None and quantizer != "dorefa_sym":
                module.get_parameter("step_size").mul_(0.7) if quantizer == "lsq" else (
                    module.get_buffer("scale").mul_(0.7)
                )
    before = layer.weight.clone()
    rules = [{"select": "2", "on": "input", "algorithm": {"kind": "ste", "num_bits": 8}}]
    quantize(network, rules)
    report = calibrate(network, [torch.randn(8, 4, 8, 8)])
    assert [grid.name for grid in report.grids] == ["2.input_quantizer"]
    assert torch.equal(layer.weight, before)


def test_without_other_quantizers_there_is_nothing_to_calibrate() -> None:
    with pytest.raises(UsageError, match="network: no quantizer in it"):
        calibrate(network_of("lsq"), [torch.randn(2, 4, 8, 8)])
