"""Bytes by the number of kept weights, beside the C that is written for such weights."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from quantlab.compression.byte_curve import byte_curve, layer_operations
from quantlab.compression.exporting import Exporter
from quantlab.conversion.samples import spec_of
from quantlab.deploy.c.model import c_model
from quantlab.integer.program import Program

COUNTS = (576, 137, 21)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4)).eval()


def program_of(made: nn.Module) -> Program:
    """Return a network in 8 bits."""
    torch.manual_seed(1)
    samples = torch.rand(16, 1, 8, 8)
    exporter = Exporter(
        spec=spec_of(samples, is_raw=False), samples=samples, command=("cc",), encodings=("csr",)
    )
    return exporter.program(exporter.quantized(made, {}))


@pytest.mark.parametrize("count", COUNTS)
def test_points_are_the_bytes_of_c(count: int) -> None:
    made = network()
    dense = program_of(made)
    order = torch.argsort(made[3].weight.detach().abs().flatten(), descending=True)
    operation = layer_operations(dense, {"3": made[3]})["3"]
    curve = byte_curve(operation, dense, order.numpy(), (8,))
    with torch.no_grad():
        mask = torch.zeros(576, dtype=torch.bool)
        mask[order[:count]] = True
        made[3].weight.mul_(mask.reshape(4, 144))
    program = program_of(made)
    sizes = []
    for encoding in ("dense", "csr", "delta4", "bitmap", "rice"):
        stored = json.loads(c_model(program, {"_3": encoding}).files["model.json"])["weights"]
        sizes.append(stored["_3"]["bytes"])
    assert float(curve.at(count, 8)) == pytest.approx(min(sizes), rel=0.15, abs=6)


def test_fewer_bits_take_no_more_bytes() -> None:
    made = network()
    program = program_of(made)
    operation = layer_operations(program, {"3": made[3]})["3"]
    curve = byte_curve(operation, program, np.arange(576), (8, 4))
    assert (curve.nbytes[4] <= curve.nbytes[8]).all()
    assert (np.diff(curve.nbytes[8]) >= 0).all()


def test_layers_are_found_by_their_names() -> None:
    made = network()
    program = program_of(made)
    found = layer_operations(program, {"0": made[0], "3": made[3], "other": nn.Linear(2, 2)})
    assert {name: operation.output for name, operation in found.items()} == {"0": "_0", "3": "_3"}
