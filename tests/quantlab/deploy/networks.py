"""Networks of a few layers as programs, and their models with all codes as outputs."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper
from torch import nn

from quantlab.algorithms import QuantizeConfig, quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.program import Program
from tests.quantlab.integer.networks import (
    SPEC,
    PreActivation,
    Residual,
    pixels,
    plain,
    reals,
    settled,
)
from tests.quantlab.integer.test_lower_shapes import program_of


def calibrated(network: nn.Module, weight: dict[str, Any], x: dict[str, Any]) -> Program:
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0.1, 0.4)
    network = network.double().eval()
    rules = [
        {"select": "*", "on": "weight", "algorithm": weight},
        {"select": "!first", "on": "input", "algorithm": x},
    ]
    quantize(network, QuantizeConfig.model_validate({"rules": rules}).rules)
    samples = reals(pixels(32, 1))
    calibrate(network, [samples])
    return lower(network, SPEC, samples)


def small(activation: nn.Module, groups: int = 1) -> nn.Module:
    """Without a batch norm's factor of 0, with padding behind a quantizer."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), activation,
        nn.Conv2d(8, 8, 3, padding=1, groups=groups), nn.BatchNorm2d(8), activation,
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 16, 5),
    )  # fmt: skip


STE = {"kind": "ste", "num_bits": 8}
NETWORKS: dict[str, Callable[[], Program]] = {
    "plain w8a8": lambda: lower(settled(plain(), 8, 1), SPEC),
    "plain w4a4": lambda: lower(settled(plain(), 4, 1), SPEC),
    "thresholds": lambda: lower(settled(plain(), 2, 1), SPEC),
    "two bits without thresholds": lambda: lower(
        settled(plain(), 2, 1), SPEC, threshold_levels=0
    ),
    "channels of their own": lambda: lower(
        settled(plain(), 8),
        InputSpec(shape=(3, 9, 9), scale=(0.02, 0.025, 0.017), zero_point=(120, 3, 250)),
    ),
    "residual": lambda: lower(settled(Residual(), 8), SPEC, reals(pixels(64))),
    "residual w4a4": lambda: lower(settled(Residual(), 4), SPEC, reals(pixels(64))),
    "batch norms of sums w2a2": lambda: lower(
        settled(PreActivation(), 2), SPEC, reals(pixels(64))
    ),
    "depthwise": lambda: calibrated(small(nn.ReLU(), 8), STE, STE),
    "asymmetric": lambda: calibrated(
        small(nn.Hardtanh(-0.6, 2.0)), STE, {**STE, "symmetric": False}
    ),
    "signed": lambda: calibrated(small(nn.Identity()), STE, STE),
    "ternary": lambda: calibrated(small(nn.ReLU()), {"kind": "twn"}, {**STE, "num_bits": 2}),
    "binary": lambda: calibrated(small(nn.Identity()), {"kind": "binary"}, {"kind": "binary"}),
    **{
        name: lambda name=name: program_of(name)[1]
        for name in (
            "gate with a table", "hardswish", "dense", "shuffle", "sums", "max",
            "average with padding", "average of what is there", "average over the end", "adaptive",
            "dilated",
        )
    },
}  # fmt: skip


@cache
def network_program(name: str) -> Program:
    torch.manual_seed(0)
    return NETWORKS[name]()


def with_codes(model: onnx.ModelProto, program: Program) -> onnx.ModelProto:
    """Add to the outputs of a QDQ model, under the program's names and `.codes`, all codes."""
    for node in model.graph.node:
        name = node.output[0].removesuffix(".codes")
        if node.op_type == "QuantizeLinear" and name in program.types:
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(program.types[name].kind.dtype))
            model.graph.output.append(helper.make_tensor_value_info(node.output[0], kind, None))
    return model
